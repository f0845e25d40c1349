//! Compiles the C shim with the headers of the fio that is installed.

use std::path::{Path, PathBuf};

fn main() {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    println!("cargo::rerun-if-env-changed=FLEXBLK_FIO_SRC");
    println!("cargo::rerun-if-changed=shim");
    let fio =
        std::env::var_os("FLEXBLK_FIO_SRC").map_or_else(|| here.join("../out/fio"), PathBuf::from);
    // Absent or replaced by the headers of another version: build again.
    println!("cargo::rerun-if-changed={}", fio.join("config-host.h").display());
    if has_headers(&fio) {
        build(&fio);
    } else {
        println!(
            "cargo::error=fio's headers are not in {}: run `cargo xtask setup`, \
             or set FLEXBLK_FIO_SRC to a configured source tree of the installed fio",
            fio.display()
        );
    }
}

fn has_headers(fio: &Path) -> bool {
    ["fio.h", "config-host.h"].iter().all(|name| fio.join(name).is_file())
}

fn build(fio: &Path) {
    cc::Build::new()
        .file("shim/flexblk.c")
        .include("shim")
        // As system headers: our own file is compiled with all warnings, fio's without.
        .flag("-isystem")
        .flag(fio)
        .flag("-include")
        .flag(fio.join("config-host.h"))
        .define("_GNU_SOURCE", None)
        .warnings(true)
        .extra_warnings(true)
        // Callbacks have fio's parameters, whether they need them or not.
        .flag("-Wno-unused-parameter")
        .flag("-Werror=incompatible-pointer-types")
        .flag("-Werror=implicit-function-declaration")
        .compile("flexblk_shim");
    // fio unloads an engine while its structures are still in use: stay loaded.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
