# bash completion for kvmswitch
_kvmswitch_names() {
    kvmswitch "${socket[@]}" complete "$1" 2>/dev/null
}

_kvmswitch() {
    local cur prev verb='' group='' i
    local -a socket=()
    cur=${COMP_WORDS[COMP_CWORD]}
    prev=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --socket) socket=(--socket "${COMP_WORDS[++i]}") ;;
            --to | --for | --lifetime | --timeout | --limit | -n) ((++i)) ;;
            -*) ;;
            vm | guest | hotkeys) [[ -n $verb$group ]] || { group=${COMP_WORDS[i]}; continue; } ;;&
            *) [[ -n $verb ]] || verb=${group:+$group }${COMP_WORDS[i]} ;;
        esac
    done

    case $prev in
        --socket) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        --to) mapfile -t COMPREPLY < <(compgen -W "$(_kvmswitch_names machines)" -- "$cur"); return ;;
        --for | --lifetime | --timeout | --limit | -n) return ;;
    esac

    local words='' options='--json --socket --no-color --version --help'
    case ${verb:-$group} in
        '') words='status give take toggle vm guest hotkeys history completion' ;;
        status) options+=' --watch' ;;
        give) words=$(_kvmswitch_names devices) options+=' --to --for --force --verbose' ;;
        take) words=$(_kvmswitch_names devices) options+=' --all --verbose' ;;
        toggle) words=$(_kvmswitch_names devices) options+=' --to --verbose' ;;
        vm) words='list start stop restart kill args' ;;
        'vm start' | 'vm kill' | 'vm args') words=$(_kvmswitch_names machines) ;;
        'vm stop' | 'vm restart') words=$(_kvmswitch_names machines) options+=' --timeout' ;;
        guest) words='pair tools list revoke' ;;
        'guest pair') words=$(_kvmswitch_names machines) options+=' --for' ;;
        'guest tools') words=$(_kvmswitch_names machines) options+=' --for --remove' ;;
        hotkeys) words='test' ;;
        'guest revoke') words=$(_kvmswitch_names guests) ;;
        history) options+=' --limit' ;;
        completion) words='bash zsh fish' ;;
    esac
    [[ $cur == -* ]] && words=$options
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _kvmswitch kvmswitch
