//! Enums whose values cross from one build to another: in events, tokens, stored documents and answers of the APIs.
//!
//! Two builds run side by side in every roll-out, so a value may be newer than this build. An enum that [`open_enum!`] declares
//! has an arm `Unknown` for it. What always holds: any short text is read, and written again as it was read, so reading and
//! writing lose nothing. A rule that meets `Unknown` takes the side on which nobody is harmed, and says which. What a person
//! sends is read by [`known`] or `FromStr`, which accept only what this build knows.

use std::fmt;
use std::marker::PhantomData;

use arrayvec::ArrayString;
use schemars::json_schema;
use serde::de::{Deserializer, Error, Visitor};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

pub use crate::open_enum;

#[doc(hidden)]
pub mod exports {
    pub use schemars;
    pub use serde;
    pub use utoipa;
}

/// How long the text of a value may be, in bytes. Longer ones are malformed, so no build may publish them.
pub const LONGEST: usize = 47;

/// The text of a value that this build does not know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnknownValue(ArrayString<LONGEST>);

impl UnknownValue {
    /// The text as it was read.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UnknownValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// An enum that keeps what it does not know. [`open_enum!`] implements it.
pub trait OpenEnum: Copy + Sized + 'static {
    /// The enum's name.
    const NAME: &'static str;
    /// What the enum says.
    const DESCRIPTION: &'static str;
    /// The values that this build knows.
    const KNOWN: &'static [Self];
    /// Their texts, in the same order.
    const TEXTS: &'static [&'static str];
    /// What they mean, in the same order.
    const MEANINGS: &'static [&'static str];

    /// The text of this value.
    fn as_str(&self) -> &str;

    /// The arm for what this build does not know.
    fn unknown(value: UnknownValue) -> Self;

    /// The value with this text, if this build knows it.
    fn find(text: &str) -> Option<Self> {
        Self::KNOWN.iter().zip(Self::TEXTS).find(|(_, known)| **known == text).map(|(value, _)| *value)
    }
}

/// The text is none of the values that this build knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotKnown(pub &'static [&'static str]);

impl std::error::Error for NotKnown {}

impl fmt::Display for NotKnown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [texts @ .., last] if !texts.is_empty() => write!(f, "must be {} or {last}", texts.join(", ")),
            texts => write!(f, "must be {}", texts.join("")),
        }
    }
}

/// Reads a value that this build knows, as a field of what a person sends.
///
/// # Errors
/// If the text is no known value.
pub fn known<'de, D: Deserializer<'de>, T: OpenEnum>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_str(Texts::<T> { only_known: true, of: PhantomData })
}

/// The same for a field that may be left out; it needs `#[serde(default)]` too.
///
/// # Errors
/// If the text is no known value.
pub fn known_if_given<'de, D: Deserializer<'de>, T: OpenEnum>(deserializer: D) -> Result<Option<T>, D::Error> {
    known(deserializer).map(Some)
}

#[doc(hidden)]
pub fn deserialize<'de, D: Deserializer<'de>, T: OpenEnum>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_str(Texts::<T> { only_known: false, of: PhantomData })
}

struct Texts<T> {
    only_known: bool,
    of: PhantomData<T>,
}

impl<T: OpenEnum> Visitor<'_> for Texts<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text of at most {LONGEST} bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        if let Some(value) = T::find(text) {
            return Ok(value);
        }
        if self.only_known {
            return Err(E::unknown_variant(text, T::TEXTS));
        }
        let value = ArrayString::from(text).map_err(|_| E::invalid_length(text.len(), &self))?;
        Ok(T::unknown(UnknownValue(value)))
    }
}

/// The JSON Schema: any text, with the meaning of those that this build knows.
#[doc(hidden)]
pub fn json_schema<T: OpenEnum>() -> schemars::Schema {
    let known = T::TEXTS.iter().zip(T::MEANINGS);
    let known = known
        .map(|(text, meaning)| serde_json::json!({ "type": "string", "const": text, "description": meaning.trim() }));
    let newer = serde_json::json!({ "type": "string", "description": "A value that a newer version brings." });
    let values: Vec<_> = known.chain([newer]).collect();
    json_schema!({ "description": T::DESCRIPTION.trim(), "anyOf": values })
}

/// The schema of what the HTTP API answers: any text, as a newer build may bring values.
#[doc(hidden)]
pub fn api_schema<T: OpenEnum>() -> RefOr<Schema> {
    let object = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).max_length(Some(LONGEST));
    let known = T::TEXTS.join("`, `");
    let says = format!("{} Now one of `{known}`; later versions may bring others.", T::DESCRIPTION.trim());
    object.description(Some(says)).examples(T::TEXTS.iter().copied()).into()
}

/// The schema of what the HTTP API takes, as [`known`] reads it: what this build knows.
pub fn known_schema<T: OpenEnum>() -> Schema {
    let object = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
    object.description(Some(T::DESCRIPTION.trim())).enum_values(Some(T::TEXTS.iter().copied())).into()
}

/// Declares an enum with the texts of its values and an arm `Unknown` for what only newer builds know; `default Value;` behind it
/// says which one its `Default` is.
#[macro_export]
macro_rules! open_enum {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $name:ident {
            $( $(#[doc = $meaning:literal])* $variant:ident = $text:literal, )+
        }
        $(default $default:ident;)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $( $(#[doc = $meaning])* $variant, )+
            /// A value that only a newer build knows.
            Unknown($crate::open_enum::UnknownValue),
        }

        $(
            impl ::std::default::Default for $name {
                fn default() -> Self {
                    Self::$default
                }
            }
        )?

        impl $crate::open_enum::OpenEnum for $name {
            const NAME: &'static str = stringify!($name);
            const DESCRIPTION: &'static str = concat!($($doc),*);
            const KNOWN: &'static [Self] = &[$( Self::$variant ),+];
            const TEXTS: &'static [&'static str] = &[$( $text ),+];
            const MEANINGS: &'static [&'static str] = &[$( concat!($($meaning),*) ),+];

            fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $text, )+
                    Self::Unknown(value) => value.as_str(),
                }
            }

            fn unknown(value: $crate::open_enum::UnknownValue) -> Self {
                Self::Unknown(value)
            }
        }

        $( const _: () = assert!($text.len() <= $crate::open_enum::LONGEST); )+

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str($crate::open_enum::OpenEnum::as_str(self))
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::open_enum::NotKnown;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                use $crate::open_enum::{NotKnown, OpenEnum};
                <Self as OpenEnum>::find(text).ok_or(NotKnown(<Self as OpenEnum>::TEXTS))
            }
        }

        impl $crate::open_enum::exports::serde::Serialize for $name {
            fn serialize<S: $crate::open_enum::exports::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str($crate::open_enum::OpenEnum::as_str(self))
            }
        }

        impl<'de> $crate::open_enum::exports::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::open_enum::exports::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                $crate::open_enum::deserialize(deserializer)
            }
        }

        impl $crate::open_enum::exports::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(
                _: &mut $crate::open_enum::exports::schemars::SchemaGenerator,
            ) -> $crate::open_enum::exports::schemars::Schema {
                $crate::open_enum::json_schema::<Self>()
            }
        }

        impl $crate::open_enum::exports::utoipa::PartialSchema for $name {
            fn schema() -> $crate::open_enum::exports::utoipa::openapi::RefOr<
                $crate::open_enum::exports::utoipa::openapi::Schema,
            > {
                $crate::open_enum::api_schema::<Self>()
            }
        }

        impl $crate::open_enum::exports::utoipa::ToSchema for $name {
            fn name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::store::{from_document, to_document};

    open_enum! {
        /// A colour.
        pub(super) enum Colour {
            /// Like blood.
            Red = "red",
            /// Like grass.
            DarkGreen = "dark_green",
        }
    }

    #[derive(Debug, Deserialize)]
    struct Sent {
        #[serde(deserialize_with = "known")]
        colour: Colour,
        #[serde(default, deserialize_with = "known_if_given")]
        other: Option<Colour>,
    }

    #[test]
    fn what_is_not_known_is_kept() {
        for (text, known) in [("red", true), ("dark_green", true), ("ultraviolet", false), ("", false)] {
            let colour: Colour = serde_json::from_value(json!(text)).unwrap();
            assert_eq!(matches!(colour, Colour::Unknown(_)), !known, "{text}");
            assert_eq!((serde_json::to_value(colour).unwrap(), colour.to_string()), (json!(text), text.to_owned()));
            let stored: BTreeMap<String, Colour> = from_document(&bson::doc! { "colour": text }).unwrap();
            assert_eq!(to_document(&stored).unwrap(), bson::doc! { "colour": text });
        }
    }

    #[test]
    fn what_is_no_short_text_is_malformed() {
        for broken in [json!(7), json!(null), json!({ "red": 1 }), json!("x".repeat(LONGEST + 1))] {
            assert!(serde_json::from_value::<Colour>(broken.clone()).is_err(), "{broken}");
        }
    }

    #[test]
    fn people_may_send_only_what_is_known() {
        let sent: Sent = serde_json::from_value(json!({ "colour": "red" })).unwrap();
        assert_eq!((sent.colour, sent.other), (Colour::Red, None));
        let sent: Sent = serde_json::from_value(json!({ "colour": "red", "other": "dark_green" })).unwrap();
        assert_eq!(sent.other, Some(Colour::DarkGreen));
        for wrong in [json!({ "colour": "ultraviolet" }), json!({ "colour": "red", "other": "ultraviolet" })] {
            let told = serde_json::from_value::<Sent>(wrong).unwrap_err().to_string();
            assert!(told.contains("`red`") && told.contains("`dark_green`"), "{told}");
        }
        let told = "ultraviolet".parse::<Colour>().unwrap_err().to_string();
        assert_eq!(told, "must be red or dark_green");
    }
}
