//! Bundles the front end with Node where there is one, and writes a table of what the binary embeds: content-hashed,
//! compressed. Without Node the pages get their styles alone, and say so at the start.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use sha2::{Digest as _, Sha256};

/// What is compressed: the rest is so already.
const TEXT: [&str; 3] = ["css", "js", "svg"];

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for input in ["front", "package.json", "package-lock.json", "build.rs"] {
        println!("cargo:rerun-if-changed={input}");
    }
    println!("cargo:rerun-if-env-changed=PATH");
    let bundle = out.join("front");
    if bundle.exists() {
        fs::remove_dir_all(&bundle)?;
    }
    fs::create_dir_all(&bundle)?;
    if let Err(missing) = bundle_with_node(&here, &bundle) {
        println!("cargo:warning=the pages will lack scripts and fonts: {missing}");
        fs::write(bundle.join("style.css"), plain_styles(&here)?)?;
    }
    fs::copy(here.join("front/mark.svg"), bundle.join("mark.svg"))?;
    fs::write(out.join("assets.rs"), table(&bundle)?)
}

/// What keeps it from being done is told in words for a person.
fn bundle_with_node(here: &Path, bundle: &Path) -> Result<(), String> {
    let modules = here.join("node_modules");
    let (lock, installed) = (here.join("package-lock.json"), modules.join(".package-lock.json"));
    if modified(&installed) < modified(&lock) {
        run(Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(here))?;
    }
    run(Command::new("node").arg("front/build.mjs").arg(bundle).current_dir(here))
}

fn modified(file: &Path) -> Option<std::time::SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

fn run(command: &mut Command) -> Result<(), String> {
    let shown = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            Err(format!("{shown} failed: {}", String::from_utf8_lossy(&output.stderr).trim().replace('\n', " | ")))
        }
        Err(error) => Err(format!("{shown} (Node 20 or newer) was not found: {error}")),
    }
}

/// The style sheets that `style.css` imports, one after the other; without that of the fonts, which come by npm.
fn plain_styles(here: &Path) -> io::Result<String> {
    let front = here.join("front");
    let entry = fs::read_to_string(front.join("style.css"))?;
    let imports = entry.lines().filter_map(|line| line.strip_prefix("@import \"./")?.strip_suffix("\";"));
    imports.filter(|sheet| !sheet.ends_with("fonts.css")).map(|sheet| fs::read_to_string(front.join(sheet))).collect()
}

/// `assets.rs`: a list of `Asset`s, sorted by name.
fn table(bundle: &Path) -> io::Result<String> {
    let mut files: Vec<PathBuf> = fs::read_dir(bundle)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|file| file.is_file());
    files.sort();
    let mut table = String::from("pub(crate) static ASSETS: &[Asset] = &[\n");
    for file in &files {
        table.push_str(&row(file)?);
    }
    table.push_str("];\n");
    Ok(table)
}

fn row(file: &Path) -> io::Result<String> {
    let name = file.file_name().and_then(|name| name.to_str()).expect("the bundler writes plain names");
    let (stem, extension) = name.rsplit_once('.').expect("the bundler writes extensions");
    let body = fs::read(file)?;
    let hash = &hex::encode(Sha256::digest(&body))[..12];
    // What style sheets refer to has its hash from the bundler.
    let served = if TEXT.contains(&extension) { format!("{stem}-{hash}.{extension}") } else { name.to_owned() };
    let (mut brotli, mut gzip) = ("None".to_owned(), "None".to_owned());
    if TEXT.contains(&extension) {
        brotli = embedded(&with_extension(file, "br", &brotli_of(&body)?)?);
        gzip = embedded(&with_extension(file, "gz", &gzip_of(&body)?)?);
    }
    let mut row = String::new();
    let raw = format!("include_bytes!({:?})", file.display().to_string());
    writeln!(row, "Asset {{ name: {name:?}, served: {served:?}, body: {raw}, brotli: {brotli}, gzip: {gzip} }},")
        .expect("text can be written to");
    Ok(row)
}

fn embedded(file: &Path) -> String {
    format!("Some(include_bytes!({:?}))", file.display().to_string())
}

fn with_extension(file: &Path, extension: &str, body: &[u8]) -> io::Result<PathBuf> {
    let folder = file.with_file_name("compressed");
    fs::create_dir_all(&folder)?;
    let name = format!("{}.{extension}", file.file_name().unwrap_or_default().to_string_lossy());
    let path = folder.join(name);
    fs::write(&path, body)?;
    Ok(path)
}

fn brotli_of(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut coded = Vec::new();
    brotli::BrotliCompress(&mut &body[..], &mut coded, &brotli::enc::BrotliEncoderParams::default())?;
    Ok(coded)
}

fn gzip_of(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut coded = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    coded.write_all(body)?;
    coded.finish()
}
