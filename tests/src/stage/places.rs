//! What stands on this machine for the addresses and folders of the cluster.

use std::collections::BTreeMap;

/// Places of the cluster, each with the place that it has here.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(BTreeMap<String, String>);

impl Places {
    /// From now on `there` is `here`.
    pub(super) fn put(&mut self, there: impl Into<String>, here: impl Into<String>) {
        self.0.insert(there.into(), here.into());
    }

    /// The same for several.
    pub(super) fn extend(&mut self, places: Vec<(String, String)>) {
        self.0.extend(places);
    }

    /// A text of the cluster, with the places of this machine. A place is a word of its own; where several begin at the same
    /// letter, the longest is meant.
    pub(super) fn here(&self, text: &str) -> String {
        let (mut here, mut at) = (String::new(), 0);
        while let Some(letter) = text[at..].chars().next() {
            let fitting = self.0.iter().filter(|(there, _)| is_word(text, at, there));
            let (passed, said) = match fitting.max_by_key(|(there, _)| there.len()) {
                Some((there, place)) => (there.len(), place.as_str()),
                None => (letter.len_utf8(), &text[at..at + letter.len_utf8()]),
            };
            here.push_str(said);
            at += passed;
        }
        here
    }
}

/// Whether `word` stands there, and neither begins nor ends within another one.
fn is_word(text: &str, at: usize, word: &str) -> bool {
    let Some(after) = text[at..].strip_prefix(word) else { return false };
    let goes_on = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    !goes_on(text[..at].chars().next_back()) && !goes_on(after.chars().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_replaced_once_and_the_longest_first() {
        let mut places = Places::default();
        places.put("nats:4222", "127.0.0.1:20001");
        places.put("/key", "/tmp/nats-0/key");
        places.put("/keeper", "/tmp/nats-0/keeper");
        places.put("/tmp", "/tmp/nats-0/scratch");
        assert_eq!(places.here("nats://é:pw@nats:4222?x"), "nats://é:pw@127.0.0.1:20001?x");
        assert_eq!(places.here("/keeper/keep.js /key/file"), "/tmp/nats-0/keeper/keep.js /tmp/nats-0/key/file");
        assert_eq!(places.here("/tmp"), "/tmp/nats-0/scratch");
        assert_eq!(places.here("/secret/keyfile /a/key gnats:4222"), "/secret/keyfile /a/key gnats:4222");
    }
}
