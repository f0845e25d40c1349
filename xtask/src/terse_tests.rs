//! A line that fio 3.33 printed is read as fio's own report of the same run says.

use super::{Row, parse, table};

/// From `fio --output-format=terse --terse-version=3`, with a mixed job.
const MIXED: &str = "3;fio-3.33;mix;0;0;2648160;2645514;661378;1001;0;0;0.000000;0.000000;0;5403;\
32.891281;105.985765;1.000000%=21;5.000000%=22;10.000000%=22;20.000000%=22;30.000000%=23;\
40.000000%=23;50.000000%=24;60.000000%=25;70.000000%=31;80.000000%=37;90.000000%=41;\
95.000000%=45;99.000000%=91;99.500000%=123;99.900000%=577;99.950000%=3391;99.990000%=4358;\
0%=0;0%=0;0%=0;1;5404;33.621481;107.387536;2179760;2179760;82.394574%;2179760.000000;0.000000;\
1134848;1133714;283428;1001;0;0;0.000000;0.000000;2;5402;32.801343;103.548154;1.000000%=21;\
5.000000%=22;10.000000%=22;20.000000%=22;30.000000%=23;40.000000%=23;50.000000%=25;\
60.000000%=25;70.000000%=31;80.000000%=37;90.000000%=41;95.000000%=45;99.000000%=92;\
99.500000%=124;99.900000%=362;99.950000%=3391;99.990000%=4358;0%=0;0%=0;0%=0;2;5404;33.439386;\
104.170619;936720;936720;82.624013%;936720.000000;0.000000;89.800000%;1.400000%;66;0;1441";

/// Both directions come out, each with its own figures: a shifted field would show here.
#[test]
fn mixed_job_has_two_rows() {
    let (rows, errors) = parse(&format!("a line of something else\n{MIXED}\n"));
    assert_eq!(errors, 0);
    let [read, write] = &rows[..] else { panic!("two directions, not {rows:?}") };
    assert_eq!((read.direction, read.iops, read.p50_us, read.p99_us), ("read", 661_378, 24, 91));
    assert_eq!(
        (write.direction, write.iops, write.p50_us, write.p99_us),
        ("write", 283_428, 25, 92)
    );
    assert!((read.mb_per_s - 2709.0).abs() < 1.0, "{}", read.mb_per_s);
    assert!(table(&rows).contains("661378"));
}

/// The error field of a failed group is seen, and a direction that moved nothing has no row.
#[test]
fn errors_and_idle_directions() {
    let failed = MIXED.replacen(";0;0;2648160;", ";0;5;0;", 1);
    let (rows, errors) = parse(&failed);
    assert_eq!(errors, 5);
    assert_eq!(rows.iter().map(|row: &Row| row.direction).collect::<Vec<_>>(), ["write"]);
}
