//! Queries for texts by their beginning.

use bson::{Document, doc};

/// Finds documents of which `field`, or an element of it, begins with `text`: a range of its index.
pub fn begins_with(field: &str, text: &str) -> Document {
    doc! { field: { "$regex": format!("^{}", escaped(text)) } }
}

/// A text in which nothing means anything to a regular expression.
fn escaped(text: &str) -> String {
    let quoted = |c: char| if c.is_ascii() && !c.is_alphanumeric() { vec!['\\', c] } else { vec![c] };
    text.chars().flat_map(quoted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_no_pattern() {
        let expected = doc! { "words": { "$regex": "^a\\.b\\+c\\@हि" } };
        assert_eq!(begins_with("words", "a.b+c@हि"), expected);
    }
}
