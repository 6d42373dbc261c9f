//! The rules of the source tree that the compiler does not check.
//!
//! Imports point down, no files import each other, the core is pure, only `store` uses Redis, the engine does not log,
//! files are short, and the client has few dependencies.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use syn::{Attribute, ItemMod, ItemUse, UseTree, VisRestricted, visit::Visit};

/// The floors, from top to bottom. A floor may import itself and the floors below it.
const FLOORS: [&str; 11] = [
    "cli", "signals", "logs", "control", "engine", "client", "store", "events", "config", "clock",
    "core",
];

/// The path of a module in the crate, such as `["core", "job", "json"]`.
type ModulePath = Vec<String>;

/// A source file, and the modules and items that it imports from this crate.
struct Module {
    file: PathBuf,
    code: String,
    imports: BTreeSet<Vec<String>>,
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Returns all files below `src` with this extension.
fn files(extension: &str) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![source()], vec![]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty());
    files
}

/// Returns all modules, except the root and modules of tests.
fn modules() -> BTreeMap<ModulePath, Module> {
    let path = |file: &Path| -> ModulePath {
        let name = file.strip_prefix(source()).unwrap().with_extension("");
        let parts = name.iter().map(|part| part.to_str().unwrap().to_owned());
        parts.filter(|part| part != "mod").collect()
    };
    let is_code = |path: &ModulePath| !["lib", "main", "tests"].contains(&&**path.last().unwrap());
    let found = files("rs").into_iter().map(|file| (path(&file), file));
    let found: BTreeMap<_, _> = found.filter(|(path, _)| is_code(path)).collect();
    let module = |(path, file): (&ModulePath, &PathBuf)| {
        let code = fs::read_to_string(file).unwrap();
        let mut imports = Imports {
            module: path,
            known: &found,
            found: BTreeSet::new(),
        };
        imports.visit_file(&syn::parse_file(&code).unwrap());
        let imports = imports.found;
        let file = file.clone();
        (
            path.clone(),
            Module {
                file,
                code,
                imports,
            },
        )
    };
    found.iter().map(module).collect()
}

/// Collects what a module imports, by `use` or by a path that begins with `crate`.
struct Imports<'a> {
    module: &'a ModulePath,
    known: &'a BTreeMap<ModulePath, PathBuf>,
    found: BTreeSet<Vec<String>>,
}

impl Imports<'_> {
    fn tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.tree(&with(path.ident.to_string()), &path.tree),
            UseTree::Name(name) => self.add(with(name.ident.to_string())),
            UseTree::Rename(name) => self.add(with(name.ident.to_string())),
            UseTree::Group(group) => group.items.iter().for_each(|it| self.tree(before, it)),
            UseTree::Glob(_) => self.add(before.to_vec()),
        }
    }

    /// Adds a path, if it is in this crate.
    fn add(&mut self, mut path: Vec<String>) {
        let mut base = self.module.clone();
        match &*path[0] {
            "crate" => base.clear(),
            "self" => {}
            "super" => drop(base.pop()),
            child
                if self
                    .known
                    .contains_key(&[&base[..], &[child.into()]].concat()) =>
            {
                path.insert(0, "self".into());
            }
            _ => return,
        }
        base.extend(path.into_iter().skip(1).filter(|name| name != "self"));
        self.found.insert(base);
    }
}

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !module.attrs.iter().any(is_for_tests) {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.tree(&[], &item.tree);
    }

    /// Skips visibilities such as `pub(in crate::config)`, which import nothing.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments[0].ident == "crate" {
            let names = path.segments.iter().map(|it| it.ident.to_string());
            self.add(names.collect());
        }
        syn::visit::visit_path(self, path);
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Path>()
            .is_ok_and(|it| it.is_ident("test"))
}

/// Returns the module that contains the item `import`, if it is not `from` itself.
fn target<'a>(
    modules: &'a BTreeMap<ModulePath, Module>,
    from: &ModulePath,
    import: &[String],
) -> Option<&'a ModulePath> {
    let prefixes = (1..=import.len()).rev().map(|length| &import[..length]);
    let mut known = prefixes.filter_map(|path| modules.get_key_value(path));
    known.next().map(|(path, _)| path).filter(|it| *it != from)
}

#[test]
fn imports_point_down() {
    let height = |floor: &str| FLOORS.iter().position(|it| *it == floor);
    let modules = modules();
    let mut checked = 0;
    for (path, module) in &modules {
        let from = height(&path[0]).unwrap_or_else(|| panic!("{path:?} is on no floor"));
        for import in &module.imports {
            let to = height(&import[0]).unwrap_or_else(|| panic!("{import:?} is on no floor"));
            let file = module.file.display();
            assert!(from <= to, "{file} imports {import:?}, which is above it");
            checked += 1;
        }
    }
    assert!(checked > 200, "only {checked} imports checked");
}

#[test]
fn no_files_import_each_other() {
    let modules = modules();
    let mut left: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> = BTreeMap::new();
    for (path, module) in &modules {
        let imports = module.imports.iter();
        let targets = imports.filter_map(|import| target(&modules, path, import));
        left.insert(path, targets.collect());
    }
    // A file that imports none of the remaining files is in no cycle.
    loop {
        let ground: BTreeSet<_> = left
            .iter()
            .filter(|(_, imports)| imports.is_empty())
            .map(|(path, _)| *path)
            .collect();
        if ground.is_empty() {
            break;
        }
        left.retain(|path, _| !ground.contains(path));
        for imports in left.values_mut() {
            imports.retain(|path| !ground.contains(path));
        }
    }
    // A file that none of the remaining files imports is in no cycle either.
    loop {
        let imported: BTreeSet<_> = left.values().flatten().copied().collect();
        let before = left.len();
        left.retain(|path, _| imported.contains(path));
        if left.len() == before {
            break;
        }
    }
    let lines: Vec<_> = left
        .iter()
        .map(|(path, imports)| {
            let imports: Vec<_> = imports.iter().map(|it| it.join("::")).collect();
            format!("{} imports {}", path.join("::"), imports.join(", "))
        })
        .collect();
    assert!(lines.is_empty(), "circles:\n{}", lines.join("\n"));
}

#[test]
fn the_core_is_pure() {
    for (path, module) in modules() {
        let code = module.code.split("#[cfg(test)]").next().unwrap();
        for word in [
            "tokio", "redis", "tracing", "std::fs", "std::env", "std::io", "::now()",
        ] {
            let found = path[0] == "core" && code.contains(word);
            assert!(!found, "{} names {word}", module.file.display());
        }
    }
}

#[test]
fn only_the_store_uses_redis() {
    for (path, module) in modules() {
        let found = path[0] != "store" && module.code.contains("redis::");
        assert!(!found, "{} uses redis", module.file.display());
    }
}

#[test]
fn the_engine_reports_only_to_its_sinks() {
    for (path, module) in modules() {
        let found = path[0] == "engine" && module.code.contains("tracing");
        assert!(!found, "{} names tracing", module.file.display());
    }
}

#[test]
fn control_does_not_use_the_command_line_or_the_terminal() {
    for (path, module) in modules() {
        let knows = ["clap", "comfy_table", "stdout", "stderr"].map(|it| module.code.contains(it));
        let found = path[0] == "control" && knows.contains(&true);
        assert!(!found, "{} names a surface", module.file.display());
    }
}

#[test]
fn source_files_and_scripts_have_at_most_400_lines() {
    for path in [files("rs"), files("lua")].concat() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 400, "{} has {lines} lines", path.display());
    }
}

#[test]
fn the_client_for_apps_does_not_depend_on_crates_of_the_scheduler() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--no-default-features"])
        .args(["--edges=normal", "--prefix=none", "--format={lib}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{tree:?}");
    let tree = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<&str> = tree.lines().collect();
    assert!(crates.contains("redis"), "{tree}");
    for unwanted in [
        "annotate_snippets",
        "clap",
        "granit_parser",
        "tempfile",
        "toml",
        "tracing_subscriber",
    ] {
        assert!(!crates.contains(unwanted), "the client brings {unwanted}");
    }
}
