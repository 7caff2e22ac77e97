//! What sellers see of their sales.

use actix_web::http::header;
use actix_web::web::{Bytes, Data, Json};
use actix_web::{HttpResponse, HttpResponseBuilder};
use common::clock::Time;
use common::events::payments::DisputeStanding;
use common::http::{Page, Paging, PathOf, Principal, Problem};
use common::id::{OrderId, TicketId};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Orders;
use crate::inventory::Inventory;
use crate::order::OrderState;
use crate::sales::{DaySales, DisputeCounts, OrderCounts, Sales, first_moment};
use crate::sheet;
use crate::store::Replica;
use crate::store::sales::{Listed, SoldOrder};

/// How many lines of an export are made at a time.
const LINES: usize = 256;

/// How a listing stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListingSales {
    ticket_id: TicketId,
    title: String,
    venue: Option<String>,
    starts_at: Option<Time>,
    /// In which `startsAt` is to be shown.
    time_zone: String,
    /// False once it was taken from sale, and from `saleEndsAt` on.
    on_sale: bool,
    /// Whether it was taken from sale.
    withdrawn: bool,
    /// When the sale ends: when the seller said, else when it starts.
    sale_ends_at: Option<Time>,
    /// How many places there are.
    capacity: u32,
    /// How many of them are held by orders not yet paid.
    held: u32,
    /// How many of them are sold.
    sold: u32,
    currency: String,
    /// What was paid and not given back, in major units.
    #[schema(example = "439.78")]
    revenue: String,
}

/// What was sold on one day and is still sold.
#[derive(Serialize, ToSchema)]
pub(crate) struct SalesDay {
    /// The day in the time zone of the business.
    #[schema(example = "2026-11-21")]
    day: String,
    places: i64,
    /// In major units.
    revenue: String,
}

/// How many orders are disputed at the buyers' banks.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Disputes {
    /// Undecided.
    open: i64,
    /// What the orders of the undecided cost, less what went back, in major units. It is part of the revenue until it is lost.
    #[schema(example = "39.98")]
    open_total: String,
    /// Decided for the seller.
    won: i64,
    /// Decided for the buyer: that money is no revenue.
    lost: i64,
}

/// What came of a listing.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SalesSummary {
    #[serde(flatten)]
    standing: ListingSales,
    orders: OrderCounts,
    /// How many passes were used.
    checked_in: i64,
    disputes: Disputes,
    /// The last 30 days, the oldest first.
    by_day: Vec<SalesDay>,
    /// In which the days begin.
    business_time_zone: String,
}

/// An order as the seller sees it in a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SoldOrderBody {
    id: OrderId,
    status: OrderState,
    quantity: u32,
    /// The price of all places, in major units.
    total: String,
    /// What of it went back, in major units.
    refunded: String,
    currency: String,
    created_at: Time,
    paid_at: Option<Time>,
    /// How many of its passes were used.
    checked_in: u32,
    /// How the disputes of the buyer's bank stand, if there are any.
    dispute: Option<DisputeStanding>,
}

impl From<SoldOrder> for SoldOrderBody {
    fn from(order: SoldOrder) -> Self {
        let currency = order.total.currency();
        Self {
            id: order.id,
            status: order.state,
            quantity: order.quantity,
            total: order.total.decimal(),
            refunded: currency.decimal(order.returned.amount),
            currency: currency.to_string(),
            created_at: order.created_at,
            paid_at: order.paid_at,
            checked_in: order.admitted,
            dispute: order.dispute.standing,
        }
    }
}

impl Orders {
    /// The listing, if the principal sells it or is an administrator.
    pub(super) async fn own_listing(&self, id: TicketId, principal: &Principal) -> Result<Replica, Problem> {
        let ticket = self.tickets.get_soon(id.uuid(), &self.clock).await?.map(|ticket| ticket.value);
        let own = |ticket: &Replica| principal.is_admin() || ticket.listing.seller_id == principal.user;
        ticket.filter(own).ok_or_else(Problem::not_found)
    }

    fn standing(&self, ticket: Replica, inventory: Option<&Inventory>, revenue: i64) -> ListingSales {
        let on_sale = ticket.is_on_sale() && !ticket.listing.sale_is_over(self.clock.now());
        let Replica { listing, withdrawn } = ticket;
        let (currency, sale_ends_at) = (listing.price.currency(), listing.sale_end());
        ListingSales {
            ticket_id: listing.ticket_id,
            title: listing.title,
            venue: listing.venue,
            starts_at: listing.starts_at,
            time_zone: listing.time_zone.as_ref().unwrap_or(&self.zone).to_string(),
            on_sale,
            withdrawn: withdrawn || listing.suspended,
            sale_ends_at,
            capacity: inventory.map_or(listing.quantity, |inventory| inventory.capacity),
            held: inventory.map_or(0, |inventory| inventory.held),
            sold: inventory.map_or(0, |inventory| inventory.sold),
            currency: currency.to_string(),
            revenue: currency.decimal(revenue),
        }
    }
}

/// Lists the caller's own tickets with what is sold of them, newest first.
#[utoipa::path(get, path = "/api/orders/sales", params(Paging),
    responses((status = 200, description = "The caller's tickets", body = Page<ListingSales>)))]
pub(crate) async fn mine(
    orders: Data<Orders>,
    seller: Principal,
    paging: Paging,
) -> Result<Json<Page<ListingSales>>, Problem> {
    let found = orders.listed(seller.user, paging.after()?, paging.fetch()).await?;
    let page = Page::from_rows(found, &paging, |listed: &Listed| listed.ticket.listing.ticket_id);
    Ok(Json(page.map(|Listed { ticket, inventory, revenue }| {
        let revenue = revenue.get(&ticket.listing.price.currency()).copied().unwrap_or(0);
        orders.standing(ticket, inventory.as_ref(), revenue)
    })))
}

/// Sums up what came of a ticket, for its seller and administrators.
#[utoipa::path(get, path = "/api/orders/sales/{id}", params(("id" = TicketId, Path, description = "The ticket")),
    responses((status = 200, description = "The sums", body = SalesSummary), (status = 404, description = "No such ticket of the caller's")))]
pub(crate) async fn summary(
    orders: Data<Orders>,
    principal: Principal,
    id: PathOf<TicketId>,
) -> Result<Json<SalesSummary>, Problem> {
    let ticket = orders.own_listing(id.0, &principal).await?;
    let (now, currency) = (orders.clock.now(), ticket.listing.price.currency());
    let since = first_moment(&orders.zone, now);
    let (groups, disputed, inventory) = tokio::try_join!(
        orders.orders.groups(id.0, since),
        orders.orders.disputes(id.0),
        orders.inventories.get(id.0)
    )?;
    let disputes = DisputeCounts::of(&disputed, currency);
    let sales = Sales::of(&groups, currency, &orders.zone, now);
    let of_day = |day: DaySales| SalesDay {
        day: day.day.to_string(),
        places: day.places,
        revenue: currency.decimal(day.revenue),
    };
    Ok(Json(SalesSummary {
        standing: orders.standing(ticket, inventory.as_ref().map(|inventory| &inventory.value), sales.revenue),
        orders: sales.orders,
        checked_in: sales.checked_in,
        disputes: Disputes {
            open: disputes.open,
            open_total: currency.decimal(disputes.open_total),
            won: disputes.won,
            lost: disputes.lost,
        },
        by_day: sales.days.into_iter().map(of_day).collect(),
        business_time_zone: orders.zone.to_string(),
    }))
}

/// Lists a ticket's orders for its seller and administrators, newest first, without saying who bought.
#[utoipa::path(get, path = "/api/orders/sales/{id}/orders", params(("id" = TicketId, Path, description = "The ticket"), Paging),
    responses((status = 200, description = "Orders", body = Page<SoldOrderBody>), (status = 404, description = "No such ticket of the caller's")))]
pub(crate) async fn orders(
    orders: Data<Orders>,
    principal: Principal,
    id: PathOf<TicketId>,
    paging: Paging,
) -> Result<Json<Page<SoldOrderBody>>, Problem> {
    let after = paging.after()?;
    orders.own_listing(id.0, &principal).await?;
    let found = orders.orders.sold(id.0, after, paging.fetch()).await?;
    Ok(Json(Page::from_rows(found, &paging, |order: &SoldOrder| order.id).map(SoldOrderBody::from)))
}

/// Exports a ticket's orders as CSV for its seller and administrators, the oldest first, without saying who bought.
#[utoipa::path(get, path = "/api/orders/sales/{id}/orders.csv", params(("id" = TicketId, Path, description = "The ticket")),
    responses((status = 200, description = "A line for each order", body = String, content_type = "text/csv"),
        (status = 404, description = "No such ticket of the caller's")))]
pub(crate) async fn export(
    orders: Data<Orders>,
    principal: Principal,
    id: PathOf<TicketId>,
) -> Result<HttpResponse, Problem> {
    let title = orders.own_listing(id.0, &principal).await?.listing.title;
    let found = orders.orders.all_sold(id.0).await?;
    let head = stream::once(async { sheet::head() }).map_err(Problem::internal);
    // What breaks off in the middle breaks the connection off, so that nobody takes a part for the whole.
    let lines = found.try_chunks(LINES).map(move |chunk| match chunk {
        Ok(orders) => sheet::rows(&title, &orders).map_err(Problem::internal),
        Err(broken) => Err(broken.1.into()),
    });
    Ok(attachment(&format!("orders-{}.csv", id.0)).streaming(head.chain(lines).map_ok(Bytes::from)))
}

fn attachment(name: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.content_type("text/csv; charset=utf-8; header=present");
    response.insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response
}
