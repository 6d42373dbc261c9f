//! Every relative link leads to a file and a heading that exist.

use std::{collections::HashSet, fs, path::Path};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::docs::pages;

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut dead = vec![];
    for page in pages() {
        let folder = page.path.parent().unwrap();
        for event in Parser::new_ext(&page.text, Options::ENABLE_TABLES) {
            let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = event
            else {
                continue;
            };
            if dest_url.contains("://") {
                continue;
            }
            let (file, heading) = dest_url.split_once('#').unwrap_or((&dest_url, ""));
            let target = match file {
                "" => page.path.clone(),
                file => folder.join(file),
            };
            let leads_somewhere =
                target.exists() && (heading.is_empty() || anchors(&target).contains(heading));
            if !leads_somewhere {
                dead.push(format!("{}: {dest_url}", page.path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

/// Returns the anchors of a page's headings, as GitHub makes them.
fn anchors(page: &Path) -> HashSet<String> {
    let text = fs::read_to_string(page).unwrap();
    let (mut anchors, mut heading) = (HashSet::new(), None);
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(part) | Event::Code(part) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&part);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let anchor = anchor(&heading.take().unwrap_or_default());
                let numbered = (1..).map(|number| format!("{anchor}-{number}"));
                let mut free = std::iter::once(anchor.clone()).chain(numbered);
                anchors.insert(free.find(|it| !anchors.contains(it)).unwrap());
            }
            _ => {}
        }
    }
    anchors
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ => letter.is_alphanumeric().then_some(letter),
    });
    kept.collect::<String>().to_lowercase()
}

#[test]
fn anchors_are_made_as_github_makes_them() {
    for (heading, expected) in [
        (
            "Time zones and daylight saving",
            "time-zones-and-daylight-saving",
        ),
        ("`--once`, what it does", "--once-what-it-does"),
        ("Seeds & twos", "seeds--twos"),
    ] {
        assert_eq!(anchor(&heading.replace('`', "")), expected);
    }
}
