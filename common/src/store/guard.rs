//! The comparison that makes every write a compare-and-set.

use bson::raw::RawDocumentBuf;
use bson::rawdoc;

/// What an aggregate's document must be like for its next version to be written.
#[cfg(not(feature = "control-without-compare-and-set"))]
pub(super) fn compared(id: &str, version: i64) -> RawDocumentBuf {
    rawdoc! { "_id": id, "version": version }
}

/// The control of the chaos tests: the guard is gone, and their checker must notice.
#[cfg(feature = "control-without-compare-and-set")]
pub(super) fn compared(id: &str, _version: i64) -> RawDocumentBuf {
    rawdoc! { "_id": id }
}

#[cfg(all(feature = "control-without-compare-and-set", not(debug_assertions)))]
compile_error!(
    "control-without-compare-and-set loses writes: it is for the control of the chaos tests, and never released"
);
