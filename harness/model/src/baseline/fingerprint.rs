//! A short, readable name of a machine, which stays the same where numbers may be expected to.

use super::meaning::hash;
use crate::record::Machine;

/// Letters of the processor's model that are shown.
const CPU_MAX: usize = 32;

const GIB: u64 = 1 << 30;

/// The fingerprint of a machine: `2c-24g-amd-epyc-9b14-linux-3f9a12`.
///
/// Cores that a run could use, memory in GiB, rounded up, since the kernel keeps a little for itself, the processor's model, the operating
/// system without its release, and six hexadecimal digits of a hash over all of these, the model in full. So another kernel release is
/// the same machine, and another number of cores, or a processor whose name is merely as short, is another.
pub fn fingerprint(machine: &Machine) -> String {
    let memory = machine.memory.div_ceil(GIB);
    let os = machine.os.split_whitespace().next().unwrap_or_default();
    let whole = format!("{}\n{memory}\n{os}\n{}", machine.cores, machine.cpu.trim());
    let parts = [
        format!("{}c", machine.cores),
        format!("{memory}g"),
        slug(&model(&machine.cpu)),
        slug(os),
        format!("{:06x}", hash(whole.as_bytes()) >> 40),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

/// Whether a text could be a fingerprint, and so the name of a folder and nothing else.
pub fn is_fingerprint(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.starts_with(|c: char| c.is_ascii_digit()) && text.len() <= 120 && text.chars().all(is_part)
}

/// The model of a processor without what every name says.
fn model(cpu: &str) -> String {
    let mut model = cpu.split(" @ ").next().unwrap_or(cpu).to_owned();
    for word in ["(R)", "(TM)", "(r)", "(tm)", " CPU", " Processor"] {
        model = model.replace(word, "");
    }
    model
}

/// Lower-case letters and digits, with one dash for anything between them.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if slug.len() >= CPU_MAX {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}
