//! Accounts: one's own, and everybody's for administrators.

use actix_web::web;
use common::http::{Body, Fields, IfMatch, Page, Paging, PathOf, Principal, Problem, Query, Role, Tagged};
use common::id::UserId;
use common::open_enum::{known, known_if_given, known_schema};
use common::text;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Account, person};
use crate::Auth;
use crate::display_name::DisplayName;
use crate::store::{UserFilter, users};

/// What a list of accounts is narrowed to.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Narrowed {
    /// Words, each of which begins the address, or a word of it or of the name.
    #[param(max_length = 200)]
    search: Option<String>,
    /// The role.
    #[serde(default, deserialize_with = "known_if_given")]
    #[param(schema_with = known_schema::<Role>)]
    role: Option<Role>,
}

/// Somebody as everybody sees them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Person {
    id: UserId,
    name: Option<String>,
}

/// An account, as far as the one who asks may see it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Seen {
    /// One's own, or any for an administrator.
    Account(Account),
    /// Somebody else's.
    Person(Person),
}

/// What is to change in one's own account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// What one wants to be called: 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
}

/// A role to be given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRole {
    #[serde(deserialize_with = "known")]
    #[schema(schema_with = known_schema::<Role>)]
    role: Role,
}

/// All accounts, in the order of their addresses.
#[utoipa::path(get, path = "/api/users", params(Narrowed, Paging), responses((status = 200, body = Page<Account>)))]
pub(crate) async fn list(
    auth: web::Data<Auth>,
    Query(narrowed): Query<Narrowed>,
    paging: Paging,
) -> Result<web::Json<Page<Account>>, Problem> {
    let mut fields = Fields::default();
    let search = fields.take_optional("search", narrowed.search, |typed| text::search(&typed).map(str::to_owned));
    let filter = UserFilter { search: fields.finish(search)?, role: narrowed.role };
    let rows = users(&auth.users, &filter, paging.after()?, paging.fetch()).await?;
    let page = Page::from_rows(rows, &paging, |user| user.value.email.clone());
    Ok(web::Json(page.map(|user| Account::from(&user))))
}

/// Somebody: the whole account for themselves and administrators, the name for others.
#[utoipa::path(
    get, path = "/api/users/{id}", params(("id" = UserId, Path)),
    responses((status = 200, body = Seen), (status = 404, description = "`not_found`"))
)]
pub(crate) async fn get(
    auth: web::Data<Auth>,
    principal: Principal,
    PathOf(id): PathOf<UserId>,
) -> Result<Tagged<Seen>, Problem> {
    let user = auth.users.get(id).await?.ok_or_else(Problem::not_found)?;
    let body = if principal.user == id || principal.is_admin() {
        Seen::Account(Account::from(&user))
    } else {
        Seen::Person(Person { id, name: user.value.name.map(Into::into) })
    };
    Ok(Tagged { version: user.version, body })
}

/// Changes one's own account.
#[utoipa::path(
    patch, path = "/api/users/me", request_body = Profile,
    responses((status = 200, body = Account), (status = 412, description = "`version_mismatch`"))
)]
pub(crate) async fn update_me(
    auth: web::Data<Auth>,
    principal: Principal,
    IfMatch(seen): IfMatch,
    Body(input): Body<Profile>,
) -> Result<Tagged<Account>, Problem> {
    let mut fields = Fields::default();
    let name = fields.take("name", DisplayName::parse(&input.name));
    let name = fields.finish(name)?;
    let user = auth.rename(principal.user, name, seen).await?;
    Ok(Tagged { version: user.version, body: Account::from(&user) })
}

/// Gives somebody another role. Their access tokens end; the next refresh brings the new role.
#[utoipa::path(
    put, path = "/api/users/{id}/role", request_body = NewRole,
    params(("id" = UserId, Path)),
    responses((status = 200, body = Account), (status = 404, description = "`not_found`"), (status = 409, description = "`last_admin`"))
)]
pub(crate) async fn change_role(
    auth: web::Data<Auth>,
    principal: Principal,
    PathOf(id): PathOf<UserId>,
    IfMatch(seen): IfMatch,
    Body(input): Body<NewRole>,
) -> Result<Tagged<Account>, Problem> {
    let user = auth.change_role(id, input.role, person(&principal)?, seen).await?;
    Ok(Tagged { version: user.version, body: Account::from(&user) })
}

/// Closes an account and ends all its sessions; the same answer if it was closed already.
#[utoipa::path(
    post, path = "/api/users/{id}/disable", params(("id" = UserId, Path)),
    responses((status = 200, body = Account), (status = 404, description = "`not_found`"), (status = 409, description = "`last_admin`"))
)]
pub(crate) async fn disable(
    auth: web::Data<Auth>,
    principal: Principal,
    PathOf(id): PathOf<UserId>,
) -> Result<Tagged<Account>, Problem> {
    let user = auth.disable(id, person(&principal)?).await?;
    Ok(Tagged { version: user.version, body: Account::from(&user) })
}
