//! Command lines in the manner of getopt.

use klopf_getopt::{Item, Opt, parse};

/// Options of all kinds, some of which begin like others. Each is known by its place.
const OPTIONS: [Opt<usize>; 7] = [
    Opt::new(0, Some('v'), "verbose", None, ""),
    Opt::new(1, Some('V'), "version", None, ""),
    Opt::new(2, Some('d'), "delay", Some("t"), ""),
    Opt::new(3, None, "only", None, ""),
    Opt::new(4, Some('4'), "only-ipv4", None, ""),
    Opt::new(5, None, "pidfile", Some("file"), ""),
    Opt::new(6, Some('ü'), "über", Some("x"), ""),
];

/// Reads the lines of the input as arguments.
pub fn command_line(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let args: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let items = parse(&OPTIONS, args.iter().cloned());

    let mut left = args.iter();
    for (place, item) in items.iter().enumerate() {
        match item {
            Item::Option(meaning, value) => assert!(OPTIONS[*meaning].value.is_some() || value.is_empty()),
            Item::Operand(operand) => assert!(left.any(|arg| arg == operand), "operands are arguments, in order"),
            Item::Wrong(what) => assert!(place + 1 == items.len() && !what.is_empty(), "the last item, with a text"),
        }
    }
    written_out(&items);
}

/// What was understood can be written in the longest way, and is then understood to be the same.
fn written_out(items: &[Item<usize>]) {
    let (mut options, mut operands, mut args) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Option(meaning, value) => {
                let opt = OPTIONS[*meaning];
                args.push(format!("--{}{}", opt.long, opt.value.map_or_else(String::new, |_| format!("={value}"))));
                options.push(item.clone());
            }
            Item::Operand(_) => operands.push(item.clone()),
            Item::Wrong(_) => {}
        }
    }
    args.push("--".to_owned());
    args.extend(operands.iter().map(|item| match item {
        Item::Operand(text) => text.clone(),
        Item::Option(..) | Item::Wrong(_) => String::new(),
    }));
    options.append(&mut operands);
    assert_eq!(parse(&OPTIONS, args), options);
}
