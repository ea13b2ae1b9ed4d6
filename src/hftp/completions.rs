//! Completion scripts: those of clap, and the names on the server for `get` and `cat`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::args::CommandLine;

/// The script for a shell.
pub(super) fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "hftp", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let remote = match shell {
        Shell::Bash => BASH,
        Shell::Fish => FISH,
        // zsh runs the file when it is loaded, so the function comes first.
        Shell::Zsh => return script.replace(":_urls", ":_hftp_names").replacen("#compdef hftp\n", ZSH, 1),
        _ => "",
    };
    script + remote
}

/// Wraps the function of clap: a URL with the slash after its host is completed by what the server lists.
const BASH: &str = r#"
_hftp_names() {
    local url=${COMP_LINE:0:COMP_POINT}
    url=${url##*[[:space:]]}
    case " ${COMP_WORDS[*]:0:COMP_CWORD} " in
        *" get "* | *" cat "* | *" stat "*) ;;
        *) url= ;;
    esac
    if [[ $url == hftp://*/* ]]; then
        local server=${url%/*}/ name
        # A colon separates words, so only what follows the last one is replaced.
        local typed=${server}
        [[ $COMP_WORDBREAKS == *:* ]] && typed=${server##*:}
        COMPREPLY=()
        while IFS= read -r name; do
            [[ $server$name == "$url"* ]] && COMPREPLY+=("$typed$name")
        done < <(hftp ls -q --retries 0 --timeout 2 --connect-timeout 2 "$server" 2>/dev/null)
        return
    fi
    _hftp "$@"
}
complete -F _hftp_names -o nosort -o bashdefault -o default hftp
"#;

const ZSH: &str = r#"#compdef hftp

_hftp_names() {
    local url=${PREFIX:-${words[CURRENT]}}
    if [[ $url == hftp://*/* ]]; then
        local server=${url%/*}/
        local -a names
        names=(${(f)"$(hftp ls -q --retries 0 --timeout 2 --connect-timeout 2 "$server" 2>/dev/null)"})
        compadd -- $server$^names
    else
        _urls
    fi
}
"#;

const FISH: &str = r#"
function __hftp_names
    set -l url (commandline -ct)
    if string match -q 'hftp://*/*' -- $url
        set -l server (string replace -r '[^/]*$' '' -- $url)
        hftp ls -q --retries 0 --timeout 2 --connect-timeout 2 $server 2>/dev/null | string replace -r '^' -- $server
    end
end
complete -c hftp -n '__fish_seen_subcommand_from get cat stat' -f -a '(__hftp_names)'
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_scripts_are_those_of_the_program() {
        let shipped = [
            (Shell::Bash, "hftp.bash", include_str!("../../packaging/completions/hftp.bash")),
            (Shell::Zsh, "_hftp", include_str!("../../packaging/completions/_hftp")),
            (Shell::Fish, "hftp.fish", include_str!("../../packaging/completions/hftp.fish")),
        ];
        for (shell, file, text) in shipped {
            assert!(script(shell) == text, "hftp completions {shell} > packaging/completions/{file}");
        }
    }
}
