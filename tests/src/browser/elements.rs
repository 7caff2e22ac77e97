//! Finding elements as people and screen readers do: by role and accessible name.

use serde_json::{Value, json};

use super::Page;
use super::page::{squeezed, value_of};

/// What is clicked.
pub(super) const CLICKABLE: [&str; 9] =
    ["button", "link", "checkbox", "radio", "switch", "tab", "menuitem", "option", "DisclosureTriangle"];

/// What is filled in.
pub(super) const FIELDS: [&str; 9] =
    ["textbox", "searchbox", "spinbutton", "combobox", "listbox", "slider", "Date", "DateTime", "InputTime"];

/// An element of the page, for the page's script.
pub(super) struct Element {
    object: String,
}

/// What a screen reader says of an element.
struct Announced {
    node: Value,
    role: String,
    name: String,
}

impl Page {
    /// The one element with one of these roles and this name.
    ///
    /// # Errors
    /// If there is none or more than one; it says which names there are.
    pub(super) async fn find(&self, roles: &[&str], name: &str) -> Result<Element, String> {
        let announced = self.announced(roles).await?;
        let name = squeezed(name);
        let mut found = announced.iter().filter(|element| element.name == name);
        match (found.next(), found.next()) {
            (Some(element), None) => self.element(&element.node).await,
            (Some(_), Some(_)) => Err(format!("there are several {}", roles_and_name(roles, &name))),
            (None, _) => {
                let others: Vec<String> =
                    announced.iter().map(|element| format!("{} {:?}", element.role, element.name)).collect();
                Err(format!("there is no {}, but: {}", roles_and_name(roles, &name), others.join(", ")))
            }
        }
    }

    /// How many elements with a role are announced, whatever their names.
    pub async fn count(&self, role: &str) -> usize {
        self.announced(&[role]).await.unwrap_or_else(|error| panic!("{error}")).len()
    }

    /// The accessible names of all elements with a role (such as `heading`), in the order of the document.
    pub async fn names(&self, role: &str) -> Vec<String> {
        let announced = self.announced(&[role]).await.unwrap_or_else(|error| panic!("{error}"));
        announced.into_iter().map(|element| element.name).collect()
    }

    async fn announced(&self, roles: &[&str]) -> Result<Vec<Announced>, String> {
        let document = self.call("Runtime.evaluate", json!({ "expression": "document" })).await?;
        let mut announced = Vec::new();
        for role in roles {
            let query = json!({ "objectId": document["result"]["objectId"], "role": role });
            let answer = self.call("Accessibility.queryAXTree", query).await?;
            let nodes = answer["nodes"].as_array().into_iter().flatten();
            announced.extend(nodes.filter(|node| node["ignored"] != true).map(|node| Announced {
                node: node["backendDOMNodeId"].clone(),
                role: (*role).to_owned(),
                name: name_of(node),
            }));
        }
        Ok(announced)
    }

    async fn element(&self, node: &Value) -> Result<Element, String> {
        let resolved = self.call("DOM.resolveNode", json!({ "backendNodeId": node })).await?;
        let object = resolved["object"]["objectId"].as_str().ok_or("the element is gone")?;
        Ok(Element { object: object.to_owned() })
    }

    /// Calls a function of the page's script with the element as `this`.
    pub(super) async fn on(&self, element: &Element, function: &str, arguments: &[Value]) -> Result<Value, String> {
        let arguments: Vec<Value> = arguments.iter().map(|argument| json!({ "value": argument })).collect();
        let called = json!({
            "objectId": element.object, "functionDeclaration": function, "arguments": arguments,
            "awaitPromise": true, "returnByValue": true,
        });
        value_of(self.call("Runtime.callFunctionOn", called).await?)
    }

    /// The accessible name of the element that has the focus; empty if none has.
    pub async fn focused(&self) -> String {
        let focused = "document.activeElement === document.body ? null : document.activeElement";
        let focused = self.must("Runtime.evaluate", json!({ "expression": focused })).await;
        let Some(object) = focused["result"]["objectId"].as_str() else { return String::new() };
        let query = json!({ "objectId": object, "fetchRelatives": false });
        let tree = self.must("Accessibility.getPartialAXTree", query).await;
        name_of(&tree["nodes"][0])
    }
}

fn name_of(node: &Value) -> String {
    squeezed(node["name"]["value"].as_str().unwrap_or_default())
}

fn roles_and_name(roles: &[&str], name: &str) -> String {
    format!("{} {name:?}", roles.join("/"))
}
