//! The words of a mail, once as text and once as a page.

use url::Url;

use super::Mail;
use crate::clock::Time;
use crate::id::MailId;

/// What a mail says.
#[derive(Clone, Debug)]
pub struct Content {
    /// What it is about, in a few words; the page's heading too.
    pub subject: String,
    /// What it says first.
    pub opening: Vec<String>,
    /// What its reader may do, as a button.
    pub action: Option<Action>,
    /// What it says at the end, in small print.
    pub closing: Vec<String>,
}

/// A link that looks like a button.
#[derive(Clone, Debug)]
pub struct Action {
    /// Such as `Set a new password`.
    pub label: String,
    /// Where it leads.
    pub url: Url,
}

impl Content {
    /// The mail that says this.
    pub fn to(&self, to: impl Into<String>, id: MailId, at: Time) -> Mail {
        Mail { id, at, to: to.into(), subject: self.subject.clone(), text: self.text(), html: self.html() }
    }

    fn text(&self) -> String {
        let action = self.action.as_ref().map(|action| format!("{}:\n{}", action.label, action.url));
        let parts: Vec<&str> = self.opening.iter().chain(&action).chain(&self.closing).map(String::as_str).collect();
        parts.join("\n\n") + "\n"
    }

    fn html(&self) -> String {
        format!(
            include_str!("page.html"),
            subject = escaped(&self.subject),
            opening = paragraphs(&self.opening, "margin:0 0 16px"),
            action = self.action.as_ref().map(button).unwrap_or_default(),
            closing = paragraphs(&self.closing, "margin:0 0 8px"),
        )
    }
}

fn paragraphs(texts: &[String], style: &str) -> String {
    texts.iter().map(|text| format!("<p style=\"{style}\">{}</p>\n", escaped(text))).collect()
}

/// The address stands below the button too, for readers whose program shows no links.
fn button(action: &Action) -> String {
    format!(include_str!("button.html"), label = escaped(&action.label), url = escaped(action.url.as_str()))
}

/// Words that cannot be taken for HTML, in an element or in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(opening: &str) -> Mail {
        let content = Content {
            subject: "Tom & Ana".to_owned(),
            opening: vec![opening.to_owned()],
            action: Some(Action {
                label: "Go".to_owned(),
                url: "https://docket.example.org/a?b=1&c=2".parse().unwrap(),
            }),
            closing: vec!["The end.".to_owned()],
        };
        let now = Time::from_millis(1_795_000_000_000);
        content.to("ana@example.org", MailId::generate(now), now)
    }

    #[test]
    fn the_text_says_it_all_in_order() {
        assert_eq!(mail("Hello.").text, "Hello.\n\nGo:\nhttps://docket.example.org/a?b=1&c=2\n\nThe end.\n");
    }

    #[test]
    fn words_are_never_html() {
        let html = mail("<script>\"{subject}\"</script>").html;
        assert!(html.contains("&lt;script&gt;&quot;{subject}&quot;&lt;/script&gt;"), "{html}");
        assert!(html.contains("<title>Tom &amp; Ana</title>"), "{html}");
        assert!(html.contains("href=\"https://docket.example.org/a?b=1&amp;c=2\""), "{html}");
    }
}
