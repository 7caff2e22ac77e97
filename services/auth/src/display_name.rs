//! Names that people give themselves and their keys.

use common::text::text_fields;

text_fields! {
    /// A name of 1 to 100 characters on one line.
    DisplayName: one_line, 100;
}
