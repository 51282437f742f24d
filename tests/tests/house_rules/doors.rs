//! Doors and rights: a server function first names who may call it, and a function that was handed
//! a transaction has no way to the network.

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::source::{self, none};

/// What a server function may begin with: `session::require(Permission::…)` for those who are
/// signed in and may, `session::operator()` for those who look after the installation,
/// `session::anyone()` for what is meant for everybody.
const WATCHMEN: [&str; 3] = ["require", "operator", "anyone"];

#[test]
fn every_server_function_begins_by_naming_who_may_call_it() {
    let mut doors = Doors::default();
    for file in source::files("app/src", &[".rs"]) {
        doors.path = file.path.clone();
        doors.visit_file(&file.parse());
    }
    assert!(doors.count > 5, "the server functions were not found");
    none(
        "A server function is a public address. Its first statement calls session::require(…), \
         session::operator() in the operators' view, or session::anyone() where strangers are \
         welcome:",
        doors.open,
    );
}

#[derive(Default)]
struct Doors {
    path: String,
    count: usize,
    open: Vec<String>,
}

impl<'ast> Visit<'ast> for Doors {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        let is_door = |attribute: &syn::Attribute| {
            attribute.path().segments.last().is_some_and(|last| last.ident == "server")
        };
        if function.attrs.iter().any(is_door) {
            self.count += 1;
            let mut calls = Calls::default();
            if let Some(first) = function.block.stmts.first() {
                calls.visit_stmt(first);
            }
            if !calls.named.iter().any(|name| WATCHMEN.contains(&name.as_str())) {
                let line = function.sig.span().start().line;
                self.open.push(format!("{}:{line} {}", self.path, function.sig.ident));
            }
        }
        visit::visit_item_fn(self, function);
    }
}

/// The functions that an expression calls, by their last name.
#[derive(Default)]
struct Calls {
    named: Vec<String>,
}

impl<'ast> Visit<'ast> for Calls {
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(path) = &*call.func
            && let Some(last) = path.path.segments.last()
        {
            self.named.push(last.ident.to_string());
        }
        visit::visit_expr_call(self, call);
    }
}

/// What can reach the network, or another transaction.
const FAR: [&str; 4] = ["Engine", "Client", "Mailer", "Db"];

#[test]
fn a_function_with_a_transaction_has_no_other_way_out() {
    let mut rights = Rights::default();
    for file in source::files("server/src", &[".rs"]) {
        rights.path = file.path.clone();
        rights.visit_file(&file.parse());
    }
    assert!(rights.count > 20, "the functions with a transaction were not found");
    none(
        "The first parameter says what a function may do. One that takes `&mut Tx` reads and \
         writes, and is handed neither the engine nor Stripe, mail or another connection:",
        rights.broken,
    );
}

#[derive(Default)]
struct Rights {
    path: String,
    count: usize,
    broken: Vec<String>,
}

impl<'ast> Visit<'ast> for Rights {
    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        let mut types = Types::default();
        for input in &signature.inputs {
            if let syn::FnArg::Typed(input) = input {
                types.visit_type(&input.ty);
            }
        }
        if types.transaction {
            self.count += 1;
            if let Some(far) = types.named.iter().find(|name| FAR.contains(&name.as_str())) {
                let line = signature.span().start().line;
                let name = &signature.ident;
                self.broken.push(format!("{}:{line} {name} is handed {far}, too", self.path));
            }
        }
        visit::visit_signature(self, signature);
    }
}

/// The types of the parameters, by their last name.
#[derive(Default)]
struct Types {
    transaction: bool,
    named: Vec<String>,
}

impl<'ast> Visit<'ast> for Types {
    fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
        if let syn::Type::Path(path) = &*reference.elem
            && path.path.is_ident("Tx")
            && reference.mutability.is_some()
        {
            self.transaction = true;
        }
        visit::visit_type_reference(self, reference);
    }

    fn visit_type_path(&mut self, path: &'ast syn::TypePath) {
        if let Some(last) = path.path.segments.last() {
            self.named.push(last.ident.to_string());
        }
        visit::visit_type_path(self, path);
    }
}
