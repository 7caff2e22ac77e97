//! Parses the fields of an input and tells all that is wrong with it at once.

use std::fmt::Display;

use super::problem::{FieldError, Problem};

/// Collects what is wrong while fields are parsed into domain types.
///
/// ```
/// # use common::http::{Fields, Problem};
/// # fn parse(price: &str, name: &str) -> Result<(u32, String), Problem> {
/// let mut fields = Fields::default();
/// let price = fields.take("price", price.parse::<u32>());
/// let name = fields.take("name", (!name.is_empty()).then(|| name.to_owned()).ok_or("must not be empty"));
/// let (price, name) = fields.finish((price, name))?;
/// # Ok((price, name))
/// # }
/// # assert_eq!(parse("x", "").unwrap_err().errors().len(), 2);
/// # assert_eq!(parse("5", "Seat").unwrap(), (5, "Seat".to_owned()));
/// ```
#[derive(Debug, Default)]
#[must_use = "finish() tells whether all fields were right"]
pub struct Fields {
    errors: Vec<FieldError>,
}

impl Fields {
    /// Keeps the value, or notes what is wrong with the field.
    pub fn take<T, E: Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.errors.push(FieldError::new(field, error))).ok()
    }

    /// The same for a field that may be left out: `None` inside is a value.
    pub fn take_optional<R, T, E: Display>(
        &mut self,
        field: &str,
        raw: Option<R>,
        parse: impl FnOnce(R) -> Result<T, E>,
    ) -> Option<Option<T>> {
        self.take(field, raw.map(parse).transpose())
    }

    /// Notes `message` about the field unless `right`: for rules about two fields.
    pub fn check(&mut self, field: &str, right: bool, message: impl Display) {
        if !right {
            self.errors.push(FieldError::new(field, message));
        }
    }

    /// The values, if all were right.
    ///
    /// # Errors
    /// A 400 with all that was noted.
    pub fn finish<P: Parsed>(self, parsed: P) -> Result<P::Values, Problem> {
        match parsed.values() {
            Some(values) if self.errors.is_empty() => Ok(values),
            _ => Err(Problem::invalid_fields(self.errors)),
        }
    }
}

/// Options that are all there or not: one, or a tuple of up to eleven.
pub trait Parsed {
    /// The same without the options.
    type Values;

    /// The values, if all are there.
    fn values(self) -> Option<Self::Values>;
}

impl<T> Parsed for Option<T> {
    type Values = T;

    fn values(self) -> Option<T> {
        self
    }
}

impl Parsed for () {
    type Values = ();

    fn values(self) -> Option<()> {
        Some(())
    }
}

macro_rules! parsed_tuples {
    ($($name:ident)+) => {
        parsed_tuples!(@each [] $($name)+);
    };
    (@each [$($done:ident)*]) => {};
    (@each [$($done:ident)*] $next:ident $($rest:ident)*) => {
        parsed_tuples!(@one $($done)* $next);
        parsed_tuples!(@each [$($done)* $next] $($rest)*);
    };
    (@one $($name:ident)+) => {
        impl<$($name),+> Parsed for ($(Option<$name>,)+) {
            type Values = ($($name,)+);

            #[expect(non_snake_case, reason = "the type's letter names the value")]
            fn values(self) -> Option<Self::Values> {
                let ($($name,)+) = self;
                Some(($($name?,)+))
            }
        }
    };
}

parsed_tuples!(A B C D E F G H I J K);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let mut fields = Fields::default();
        let first = fields.take("first", "x".parse::<u8>());
        let second = fields.take("second", "7".parse::<u8>());
        let third = fields.take_optional("third", Some("y"), str::parse::<u8>);
        let problem = fields.finish((first, second, third)).unwrap_err();
        let named: Vec<_> = problem.errors().iter().filter_map(|error| error.field.as_deref()).collect();
        assert_eq!(named, ["first", "third"]);
    }

    #[test]
    fn right_fields_come_out_without_options() {
        let mut fields = Fields::default();
        let one = fields.take("one", "1".parse::<u8>());
        let none = fields.take_optional("none", None::<&str>, str::parse::<u8>);
        assert_eq!(fields.finish((one, none)).unwrap(), (1, None));
    }

    #[test]
    fn a_rule_about_two_fields_counts() {
        let mut fields = Fields::default();
        let one = fields.take("one", "1".parse::<u8>());
        fields.check("one", false, "must be less than two");
        assert!(fields.finish(one).is_err());
    }
}
