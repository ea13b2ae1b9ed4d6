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
        -c | --config | --pid-file)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return ;;
        -d | --root)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -d -- "$cur")
            return ;;
        -a | --address | -p | --port)
            return ;;
    esac

    local words
    case $command in
        check)  words='-c --config --dump --help' ;;
        reload) words='-c --config --help' ;;
        status) words='-c --config --json --help' ;;
        *)      words='check reload status -c --config -d --root -a --address -p --port --daemon --pid-file
                       --version --help' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _hftpd hftpd
