# hftpd(8) completion for bash                                             -*- shell-script -*-

_hftpd() {
    local cur prev word command=serve
    COMPREPLY=()
    cur=${COMP_WORDS[COMP_CWORD]}
    prev=${COMP_WORDS[COMP_CWORD - 1]}

    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in
            check | reload | status) command=$word ;;
        esac
    done

    case $prev in
        -c | --pid-file)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return ;;
        -d)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -d -- "$cur")
            return ;;
        -a | -p)
            return ;;
    esac

    local words
    case $command in
        check)  words='-c --dump --help' ;;
        reload) words='-c --help' ;;
        status) words='-c --json --help' ;;
        *)      words='check reload status -c -d -a -p --daemon --pid-file --version --help' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _hftpd hftpd
