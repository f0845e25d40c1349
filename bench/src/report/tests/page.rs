use crate::report::fixture::{self, HOSTILE};
use crate::report::xml::assert_balanced;
use crate::report::{against, html, table};
use std::path::PathBuf;

/// Where to look at the page: beside this test's executable.
fn shown() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.set_file_name("report-fixture.html");
    path
}

/// Goal: the page needs nothing but itself, and nothing that a record says is run.
#[test]
fn the_page_is_alone_and_tame() {
    let comparison = fixture::comparison();
    let against = against::compare(&comparison, &comparison).unwrap();
    let page = html::page(&comparison, Some(&against));
    std::fs::write(shown(), &page).unwrap();
    assert_balanced(&page);
    let lower = page.to_lowercase();
    for outside in ["http://", "https://", "src=", "url(", "@import", "<script", "<b>", "onload="] {
        assert!(!lower.contains(outside), "{outside} in the page");
    }
    assert!(
        page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;more&#39;")
    );
    assert!(!page.contains('\u{1b}'));
    for word in ["NaN", "inf ", ">inf", "None", "Some("] {
        assert!(!page.contains(word), "{word} in the page");
    }
}

/// Goal: each plot can be read without seeing it, by ids that are its own.
#[test]
fn plots_are_accessible() {
    let page = html::page(&fixture::comparison(), None);
    let drawings: Vec<&str> = page.split("<svg ").skip(1).collect();
    assert!(drawings.len() > 20, "{}", drawings.len());
    for (at, drawing) in drawings.iter().enumerate() {
        let svg = drawing.split("</svg>").next().unwrap();
        let id = format!("id=\"plot{}\"", at + 1);
        assert!(svg.starts_with(&id) && svg.contains("role=\"img\""), "{svg:.80}");
        for needed in ["<title id=", "<desc id=", "class=\"axis\""] {
            assert!(svg.contains(needed), "{needed} not in plot {}", at + 1);
        }
        let after = drawing.split("</svg>").nth(1).unwrap();
        assert!(after.contains("<details>") && after.contains("<table>"), "plot {}", at + 1);
    }
}

/// Goal: no scenario, stack, limit or remark is lost on the way to the page.
#[test]
fn nothing_is_left_out() {
    let mut comparison = fixture::comparison();
    // As the page has it: escaping has a test of its own.
    comparison.scenarios[1].title = "A title".into();
    comparison.scenarios[1].results[8].stack = "kernel-tcp".into();
    let page = html::page(&comparison, None);
    let text = table::full(&comparison);
    for scenario in &comparison.scenarios {
        assert!(page.contains(&scenario.name), "{}", scenario.name);
        assert!(page.contains(&scenario.title) && text.contains(&scenario.title));
        let block = table::scenario(scenario, &comparison.limits);
        for result in &scenario.results {
            assert!(block.contains(&result.stack), "{} of {}", result.stack, scenario.name);
        }
        let ratio = scenario.equal_total_cores.as_ref().unwrap();
        assert!(block.contains(&format!("{} / {}", ratio.stack, ratio.baseline)), "{block}");
        assert!(block.contains(&format!("{:.2} (", ratio.median)), "{block}");
    }
    for title in ["Working set", "Connections", "Bandwidth", "I/Os per second", "Read this with it"]
    {
        assert!(page.contains(title), "{title}");
    }
    for (limit, _) in comparison.limits.iter().filter(|(name, _)| *name != HOSTILE) {
        assert!(page.contains(limit) && text.contains(limit), "{limit}");
    }
    for told in ["cachegrind", "7012"] {
        assert!(page.contains(told) && text.contains(told), "{told}");
    }
    assert!(page.contains(&comparison.remarks[0]));
    assert!(page.contains("Equal total cores") && page.contains("Per host core"));
}

/// Goal: a terminal of 120 columns shows every line whole, and no escape sequence reaches it.
#[test]
fn terminal_tables_fit() {
    let comparison = fixture::comparison();
    let against = against::compare(&comparison, &comparison).unwrap();
    let text = table::full(&comparison) + &against::text(&against);
    for line in text.lines() {
        let length = line.chars().count();
        assert!(length <= table::WIDTH, "{length}: {line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    assert!(text.contains(" met\n") && text.contains(" short\n"), "{text}");
    assert!(!text.contains("NaN"));
    println!("{text}");
}
