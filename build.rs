//! How the program is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var_os(name).is_some_and(|it| it == value);
    // The time zone database is full of addresses. In a program that can be loaded anywhere, each of
    // them is written when it starts, so that all of their pages are its own: 2 MB.
    // A static one is linked in another way.
    let features = std::env::var_os("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let is_static = features.to_string_lossy().contains("crt-static");
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") && !is_static {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
