//! A listing's orders as a table for spreadsheets: CSV as RFC 4180 has it, with the mark by which Excel knows UTF-8. Pure.

use common::clock::Time;
use csv::{Terminator, Writer, WriterBuilder};

use crate::store::sales::SoldOrder;

/// The byte-order mark: without it Excel takes the bytes for those of an old code page.
const MARK: &[u8] = "\u{FEFF}".as_bytes();

/// The names of the columns.
const HEAD: [&str; 12] = [
    "order",
    "title",
    "status",
    "quantity",
    "price",
    "total",
    "refunded",
    "currency",
    "created at",
    "paid at",
    "checked in",
    "dispute",
];

/// The first line.
///
/// # Errors
/// Never in fact: it is written to memory.
pub(crate) fn head() -> Result<Vec<u8>, csv::Error> {
    Ok([MARK, &lines(|sheet| sheet.write_record(HEAD))?].concat())
}

/// A line for each of the orders of a listing, which is called `title` by now.
///
/// # Errors
/// Never in fact: they are written to memory.
pub(crate) fn rows(title: &str, orders: &[SoldOrder]) -> Result<Vec<u8>, csv::Error> {
    lines(|sheet| orders.iter().try_for_each(|order| sheet.write_record(cells(title, order))))
}

fn lines(write: impl FnOnce(&mut Writer<Vec<u8>>) -> Result<(), csv::Error>) -> Result<Vec<u8>, csv::Error> {
    let mut sheet = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    write(&mut sheet)?;
    sheet.into_inner().map_err(|error| csv::Error::from(std::io::Error::other(error.to_string())))
}

fn cells(title: &str, order: &SoldOrder) -> [String; 12] {
    let currency = order.total.currency();
    let status = serde_json::to_value(order.state).unwrap_or_default();
    [
        order.id.to_string(),
        harmless(title),
        status.as_str().unwrap_or_default().to_owned(),
        order.quantity.to_string(),
        order.unit_price.decimal(),
        order.total.decimal(),
        currency.decimal(order.returned.amount),
        currency.to_string(),
        order.created_at.to_string(),
        order.paid_at.map(|at: Time| at.to_string()).unwrap_or_default(),
        order.admitted.to_string(),
        order.dispute.standing.map(|standing| standing.to_string()).unwrap_or_default(),
    ]
}

/// What a formula begins with, as OWASP lists it (CSV injection), and the same in full width, which some spreadsheets take for it.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '\u{FF1D}', '\u{FF0B}', '\u{FF0D}', '\u{FF20}'];

/// Spreadsheets calculate what begins like a formula, whoever wrote it. Behind an apostrophe it is text. What nobody typed is
/// left as it is: a number stays one.
fn harmless(typed: &str) -> String {
    if typed.starts_with(FORMULA) { format!("'{typed}") } else { typed.to_owned() }
}

#[cfg(test)]
mod tests {
    use common::id::OrderId;
    use common::money::{Currency, Money};

    use super::*;
    use common::events::payments::DisputeStanding;

    use crate::order::{Disputing, OrderState, Returned};

    fn row(title: &str) -> String {
        let price = Money::parse("19.99", Currency::USD).unwrap();
        let order = SoldOrder {
            id: OrderId::derived(uuid::Uuid::nil(), "order"),
            state: OrderState::AwaitingPayment,
            quantity: 2,
            unit_price: price,
            total: price.times(2).unwrap(),
            created_at: Time::from_millis(0),
            paid_at: None,
            admitted: 1,
            returned: Returned { amount: 500, version: 4 },
            dispute: Disputing { standing: Some(DisputeStanding::Won), version: 3 },
        };
        String::from_utf8(rows(title, &[order]).unwrap()).unwrap()
    }

    #[test]
    fn a_line_has_every_column_and_ends_as_the_standard_says() {
        let head = String::from_utf8(head().unwrap()).unwrap();
        assert!(head.starts_with("\u{FEFF}order,title,") && head.ends_with("checked in,dispute\r\n"), "{head}");
        let row = row("Friday");
        let (_, cells) = row.split_once(',').unwrap();
        let expected = "Friday,awaiting_payment,2,19.99,39.98,5.00,usd,1970-01-01T00:00:00.000Z,,1,won\r\n";
        assert_eq!((cells, row.split(',').count()), (expected, head.split(',').count()));
    }

    #[test]
    fn a_title_stays_one_cell_and_calculates_nothing() {
        for (title, cell) in [
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("a, \"b\"", "\"a, \"\"b\"\"\""),
            ("\t1", "'\t1"),
            ("＝1+1", "'＝1+1"),
            ("＋1", "'＋1"),
            ("－1", "'－1"),
            ("＠SUM(A1)", "'＠SUM(A1)"),
            ("2=2", "2=2"),
        ] {
            assert!(row(title).contains(&format!(",{cell},awaiting_payment,")), "{title}: {}", row(title));
        }
    }
}
