//! Rust code without its comments and literals, so that a rule sees only what is compiled as code.

/// Blanks comments, strings and characters out. Lines stay where they are.
pub(super) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = literal_length(rest, code.chars().next_back());
        let (token, after) = rest.split_at(length.unwrap_or(first.len_utf8()).min(rest.len()));
        code.extend(token.chars().map(|c| if length.is_some() && c != '\n' { ' ' } else { c }));
        rest = after;
    }
    code
}

/// The lines on which `word` stands by itself, counted from one.
pub(super) fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let numbered = code.lines().zip(1..);
    numbered.filter(|(line, _)| has_word(line, word)).map(|(_, number)| number).collect()
}

fn has_word(line: &str, word: &str) -> bool {
    let joined = |at: usize| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next().filter(|_| word.ends_with(is_name));
        before.is_some_and(is_name) || after.is_some_and(is_name)
    };
    line.match_indices(word).any(|(at, _)| !joined(at))
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn literal_length(rest: &str, before: Option<char>) -> Option<usize> {
    match rest.as_bytes() {
        [b'/', b'/', ..] => Some(rest.find('\n').unwrap_or(rest.len())),
        [b'/', b'*', ..] => Some(block_comment_length(rest)),
        [b'"', ..] => Some(quoted_length(rest, '"')),
        [b'\'', ..] => character_length(rest),
        [b'r', ..] if !before.is_some_and(is_name) || before == Some('b') => raw_string_length(rest),
        _ => None,
    }
}

fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let tail = &rest.as_bytes()[at..];
        let step = if tail.starts_with(b"/*") || tail.starts_with(b"*/") { 2 } else { 1 };
        depth += i32::from(tail.starts_with(b"/*")) - i32::from(tail.starts_with(b"*/"));
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of what stands between two `quote`s, both included.
fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + c.len_utf8();
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

/// `'x'` and `'\n'` are characters, `'a` is a lifetime.
fn character_length(rest: &str) -> Option<usize> {
    let mut chars = rest.chars().skip(1);
    let is_character = chars.next()? == '\\' || chars.next()? == '\'';
    is_character.then(|| quoted_length(rest, '\''))
}

fn raw_string_length(rest: &str) -> Option<usize> {
    let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
    let start = hashes + 2;
    let end = format!("\"{}", "#".repeat(hashes));
    rest[hashes + 1..].starts_with('"').then_some(())?;
    Some(rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        let cases = [
            ("a // todo!", "a"),
            ("a /* b /* c */ d */ e", "a e"),
            (r#"f("\"x") + 1"#, "f( ) + 1"),
            ("r#\"a \" b\"# + 1", "+ 1"),
            ("br\"a\" + 1", "b + 1"),
            ("'\\'' + '\"' + 1", "+ + 1"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
        ];
        for (text, expected) in cases {
            let code = code_only(text);
            assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{text}");
            assert_eq!(code.len(), text.len(), "{text}");
        }
    }

    #[test]
    fn lines_stay_where_they_are() {
        assert_eq!(code_only("/* a\nb */ c"), "    \n     c");
    }

    #[test]
    fn an_open_literal_ends_with_the_text() {
        for text in ["\"abc", "/* abc", "r#\"abc", "'\\"] {
            assert_eq!(code_only(text).trim(), "", "{text}");
        }
    }

    #[test]
    fn words_are_whole() {
        let code = "todo!()\nmy_todo!()\nmongodb_uri\nmongodb::Client";
        assert_eq!(lines_with(code, "todo!"), [1]);
        assert_eq!(lines_with(code, "mongodb"), [4]);
    }
}
