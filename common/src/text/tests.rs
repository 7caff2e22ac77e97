use super::*;

fn line(text: &str) -> Result<String, TextFault> {
    one_line(text, 20)
}

#[test]
fn what_looks_the_same_is_the_same() {
    for (typed, read) in [
        (" Ana ", "Ana"),
        ("\u{A0}Ana\u{3000}\u{2003}", "Ana"),
        ("\tAna\r\n", "Ana"),
        ("Zoe\u{308}", "Zoë"),
        ("\u{212B}ngstro\u{308}m", "Ångström"),
        ("\u{1112}\u{1161}\u{11AB}", "한"),
        ("ﬁ ½", "ﬁ ½"),
    ] {
        assert_eq!(line(typed).as_deref(), Ok(read), "{typed:?}");
        assert_eq!(line(read).as_deref(), Ok(read), "{typed:?} read again");
    }
}

#[test]
fn what_nobody_sees_is_refused_by_its_name() {
    for (text, fault) in [
        ("a\0b", TextFault::Control('\0')),
        ("a\u{7F}b", TextFault::Control('\u{7F}')),
        ("a\u{202E}b", TextFault::Control('\u{202E}')),
        ("a\u{2066}b\u{2069}", TextFault::Control('\u{2066}')),
        ("a\u{200E}b", TextFault::Control('\u{200E}')),
        ("a\u{200B}b", TextFault::Invisible('\u{200B}')),
        ("a\u{AD}b", TextFault::Invisible('\u{AD}')),
        ("\u{FEFF}ab", TextFault::Invisible('\u{FEFF}')),
        ("a\u{2060}b", TextFault::Invisible('\u{2060}')),
        ("a\u{3164}b", TextFault::Invisible('\u{3164}')),
        ("a\u{34F}b", TextFault::Invisible('\u{34F}')),
        ("a\u{FE0F}b", TextFault::Invisible('\u{FE0F}')),
        ("1\u{FE0F}", TextFault::Invisible('\u{FE0F}')),
        ("a\u{E0061}b", TextFault::Invisible('\u{E0061}')),
        ("\u{1F3F4}\u{E0061}\u{E007F}", TextFault::Invisible('\u{E0061}')),
        ("a\u{FFF9}b", TextFault::Invisible('\u{FFF9}')),
        ("a\u{E000}b", TextFault::Undefined('\u{E000}')),
        ("a\u{FFFF}b", TextFault::Undefined('\u{FFFF}')),
    ] {
        assert_eq!(line(text), Err(fault), "{text:?}");
    }
    let told = TextFault::Control('\u{202E}').to_string();
    assert_eq!(told, "must be plain text, without the control character U+202E");
}

#[test]
fn joiners_stand_where_a_script_or_an_emoji_needs_them() {
    for right in [
        "👨\u{200D}👩\u{200D}👧",
        "👩🏽\u{200D}🎤 live",
        "👁\u{FE0F}\u{200D}🗨\u{FE0F}",
        "❤\u{FE0F}",
        "1\u{FE0F}\u{20E3}",
        "\u{1F3F4}\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F} Ceilidh",
        "می\u{200C}خواهم",
        "क्\u{200D}ष",
        "അവന്\u{200D}",
        "র\u{200D}্যাব",
        "ශ්\u{200D}රී",
        "ภาษา\u{200B}ไทย",
        "\u{8FBB}\u{E0100}",
        "\u{182D}\u{180B}",
    ] {
        assert_eq!(line(right).as_deref(), Ok(right), "{right:?}");
    }
    for (wrong, c) in [
        ("a\u{200D}b", '\u{200D}'),
        ("a\u{200C}b", '\u{200C}'),
        ("\u{200D}👩", '\u{200D}'),
        ("👩\u{200D}", '\u{200D}'),
        ("👩\u{200D}a", '\u{200D}'),
        ("👨\u{200C}👩", '\u{200C}'),
        ("م\u{200C}", '\u{200C}'),
        ("\u{200C}م", '\u{200C}'),
        ("漢\u{200D}字", '\u{200D}'),
        ("1\u{200D}2", '\u{200D}'),
        ("ภ\u{200B}a", '\u{200B}'),
    ] {
        assert_eq!(line(wrong), Err(TextFault::Invisible(c)), "{wrong:?}");
    }
}

#[test]
fn length_is_counted_in_what_people_take_for_characters() {
    for text in ["ß".repeat(20), "e\u{301}".repeat(20), "👩🏽\u{200D}🎤".repeat(10), "🇮🇹".repeat(20), "क्षि".repeat(13)]
    {
        assert!(line(&text).is_ok(), "{text}");
    }
    for text in ["", "  ", "\u{A0}\u{3000}", "\u{2800}", "\u{301}", &"x".repeat(21), &"ß".repeat(21), &"x".repeat(200)]
    {
        assert_eq!(line(text), Err(TextFault::Length(20)), "{text}");
    }
    let tall = format!("a{}", "\u{301}".repeat(100));
    assert_eq!(line(&tall), Err(TextFault::Bytes(160)));
    assert_eq!(TextFault::Length(20).to_string(), "must be 1 to 20 characters long");
}

#[test]
fn a_line_is_one_and_lines_end_with_a_line_feed() {
    for text in ["a\nb", "a\r\nb", "a\u{2028}b", "a\u{85}b"] {
        assert_eq!(line(text), Err(TextFault::Lines), "{text:?}");
        assert_eq!(many_lines(text, 20).as_deref(), Ok("a\nb"), "{text:?}");
    }
    assert_eq!(many_lines(" a\r\r\n\tb\r\n", 20).as_deref(), Ok("a\n\n\tb"));
    assert_eq!(many_lines("a\u{8}", 20), Err(TextFault::Control('\u{8}')));
    assert_eq!(line("a\u{B}b"), Err(TextFault::Control('\u{B}')));
}

#[test]
fn a_code_is_without_what_a_scanner_adds() {
    for scanned in ["eyJ0", "eyJ0\r\n", "\teyJ0\t", " eyJ0\u{A0}", "\u{2}eyJ0\u{3}"] {
        assert_eq!(code(scanned), "eyJ0");
    }
}

#[test]
fn spellings_of_one_address_are_one_address() {
    for (typed, address) in [
        ("  Ana.Lee@Example.ORG ", "ana.lee@example.org"),
        ("Ａnna@Bücher.example", "anna@xn--bcher-kva.example"),
        ("anna@xn--bcher-kva.example", "anna@xn--bcher-kva.example"),
        ("ANNA@XN--BCHER-KVA.EXAMPLE", "anna@xn--bcher-kva.example"),
        ("anna@bu\u{308}cher.example", "anna@xn--bcher-kva.example"),
        ("anna＠bücher。example", "anna@xn--bcher-kva.example"),
        ("anna@straße.example", "anna@xn--strae-oqa.example"),
        ("zoe\u{308}@example.org", "zoë@example.org"),
        ("ΑΝΝΑ@example.gr", "αννα@example.gr"),
        ("o'connor+shop_1@mail-1.example.org", "o'connor+shop_1@mail-1.example.org"),
    ] {
        assert_eq!(mail_address(typed).as_deref(), Ok(address), "{typed:?}");
        assert_eq!(mail_address(address).as_deref(), Ok(address), "{typed:?} read again");
    }
    assert_eq!(mail_address(&format!("{}@example.org", "a".repeat(64))).map(|address| address.len()), Ok(76));
}

#[test]
fn what_cannot_be_delivered_is_no_address() {
    let domain = |length: usize| format!("{}.example.org", "a.".repeat((length - 12) / 2).trim_end_matches('.'));
    for (text, fault) in [
        ("", AddressFault::Form),
        ("ana", AddressFault::Form),
        ("ana@", AddressFault::Form),
        ("@example.org", AddressFault::Form),
        ("a b@example.org", AddressFault::Local),
        ("Ana <ana@example.org>", AddressFault::Local),
        ("\"ana\"@example.org", AddressFault::Local),
        ("ana(box)@example.org", AddressFault::Local),
        (".ana@example.org", AddressFault::Local),
        ("ana.@example.org", AddressFault::Local),
        ("a..na@example.org", AddressFault::Local),
        ("an\u{200B}a@example.org", AddressFault::Local),
        ("a\u{200D}na@example.org", AddressFault::Local),
        ("an\u{202E}a@example.org", AddressFault::Local),
        ("ana\n@example.org", AddressFault::Local),
        ("ana@[127.0.0.1]", AddressFault::Domain),
        ("ana@127.0.0.1", AddressFault::Domain),
        ("ana@example", AddressFault::Domain),
        ("ana@example..org", AddressFault::Domain),
        ("ana@example.org.", AddressFault::Domain),
        ("ana@-example.org", AddressFault::Domain),
        ("ana@exa_mple.org", AddressFault::Domain),
        ("ana@xn--\u{e4}.example", AddressFault::Domain),
        (&format!("ana@{}.org", "a".repeat(64)), AddressFault::Domain),
        (&format!("{}@example.org", "a".repeat(65)), AddressFault::Length),
        (&format!("{}@example.org", "ä".repeat(33)), AddressFault::Length),
        (&format!("{}@{}", "a".repeat(60), domain(200)), AddressFault::Length),
        (&"a".repeat(5_000), AddressFault::Length),
    ] {
        assert_eq!(mail_address(text), Err(fault), "{text:?}");
    }
}

#[test]
fn a_password_is_the_same_from_every_keyboard() {
    for (typed, password) in [
        ("correct horse", "correct horse"),
        ("correct\u{A0}horse\u{3000}", "correct horse "),
        ("Zoe\u{308} Ｆullwidth", "Zoë Ｆullwidth"),
        ("  hunter22  ", "  hunter22  "),
        ("🥳 party 👩\u{200D}🎤", "🥳 party 👩\u{200D}🎤"),
    ] {
        assert_eq!(opaque(typed).as_deref(), Ok(password), "{typed:?}");
        assert_eq!(opaque(password).as_deref(), Ok(password), "{typed:?} read again");
    }
    for text in ["tab\tulator", "line\nfeed", "nul\0nul", "turned\u{202E}", "in\u{200B}visible"] {
        assert!(opaque(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_search_finds_whatever_case_and_accents() {
    for (written, typed) in [
        ("Straße", "strasse"),
        ("STRASSE", "straße"),
        ("O’Connor", "oconn"),
        ("O’Connor", "O'Connor"),
        ("OConnor", "o’connor"),
        ("O´Connor", "connor"),
        ("l’amour", "amour"),
        ("İstanbul", "istanbul"),
        ("ISTANBUL", "ıstanbul"),
        ("Isparta", "ısp"),
        ("Zoë", "zoe\u{308}"),
        ("Žižek", "zizek"),
        ("Łódź", "lodz"),
        ("Ærø", "aero"),
        ("Đông", "dong"),
        ("Ơ ước", "o uoc"),
        ("ΟΔΟΣ", "οδος"),
        ("Άννα", "αννα"),
        ("ﬁnale", "fin"),
        ("Ｊazz", "jazz"),
        ("Saint-Denis", "denis"),
        ("St.Pauli", "pauli"),
        ("Hawai\u{2BB}i", "hawaii"),
        ("أحمد", "احمد"),
        ("Ёлка", "елка"),
        ("東京ジャズ", "ジャ"),
        ("𝒥azz", "jazz"),
    ] {
        let words = searchable_words(written);
        let found = searched_words(typed).iter().all(|typed| words.iter().any(|word| word.starts_with(typed)));
        assert!(found, "{typed} is not found in {words:?}");
    }
    assert_eq!(searchable_words("Jazz, JAZZ & O’Neil!"), ["jazz", "oneil", "o", "neil"]);
    assert_eq!(searched_words("Jazz, JAZZ & O’Neil a.b!"), ["jazz", "oneil", "a", "b"]);
    assert_eq!(searchable_words("!? \u{200B}"), Vec::<String>::new());
    assert_eq!(searchable_words("हिन्दी"), ["हिन्दी"], "vowels and viramas are no accents");
    assert_eq!(searchable_words(&"x".repeat(100)), ["x".repeat(40)]);
}
