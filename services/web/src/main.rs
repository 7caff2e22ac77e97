//! The web service as a process of its own.

fn main() -> std::process::ExitCode {
    common::service::main(vec![web::service()])
}
