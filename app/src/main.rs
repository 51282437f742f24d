//! The program: reads its arguments and does what they say.

fn main() -> std::process::ExitCode {
    app::cli::main(env!("CARGO_BIN_NAME"))
}
