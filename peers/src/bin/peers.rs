//! Serves, measures, and writes down. Started by `run`.

use std::{env, fs, io::Read, path::Path, time::Duration};

use gce_auth_peers::{bare, contestant::Failure, page, process, sections, server::Server, stub};

fn main() -> Result<(), Failure> {
    let mut arguments = env::args().skip(1);
    match arguments.next().as_deref() {
        Some("serve") => serve(),
        Some("bare") => {
            let length = arguments.next().ok_or("how long?")?.parse()?;
            let after = arguments.next().ok_or("after how long?")?.parse()?;
            let after = Duration::from_millis(after);
            Ok(bare::serve(length, after, |address| {
                println!("{address}");
            })?)
        }
        Some("sections") => {
            for (name, _) in sections::ALL {
                println!("{name}");
            }
            Ok(())
        }
        Some("measure") => {
            let name = arguments.next().ok_or("which section?")?;
            let folder = arguments.next().ok_or("where to?")?;
            measure(&name, Path::new(&folder))
        }
        Some("summary") => {
            let folder = arguments.next().ok_or("of what?")?;
            print!("{}", page::all(Path::new(&folder))?);
            Ok(())
        }
        Some("write") => {
            let [results, page, short] = [(); 3].map(|()| arguments.next().unwrap_or_default());
            page::write(Path::new(&results), Path::new(&page), Path::new(&short))
        }
        Some("calls") => {
            let reader = arguments.next().ok_or("of whom?")?;
            sections::hot::calls(&Server::find()?, &reader)
        }
        Some("begin") => {
            let contestant = arguments.next().ok_or("who?")?.parse()?;
            let address = arguments.next().ok_or("where?")?.parse()?;
            println!(
                "{}",
                sections::first::begin(Server { address }, contestant)?
            );
            Ok(())
        }
        Some("weigh") => {
            let program = arguments.next().ok_or("which program?")?;
            println!("{}", process::weigh(&program, arguments)?);
            Ok(())
        }
        _ => Err("use peers/run".into()),
    }
}

/// Until standard input ends, which it does with the program that started this.
fn serve() -> Result<(), Failure> {
    println!("{}", stub::start()?);
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn measure(name: &str, folder: &Path) -> Result<(), Failure> {
    let section = sections::ALL.iter().find(|section| section.0 == name);
    let (_, run) = section.ok_or("no such section")?;
    let report = run(&Server::find()?)?;
    fs::create_dir_all(folder)?;
    fs::write(folder.join(format!("{name}.md")), report.text())?;
    fs::write(folder.join(format!("{name}.rows")), report.lines())?;
    print!("{}", report.text());
    Ok(())
}
