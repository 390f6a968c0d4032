#compdef kvmswitch

_kvmswitch_names() {
    local -a names
    names=(${(f)"$(kvmswitch ${opt_args[--socket]:+--socket $opt_args[--socket]} complete $1 2>/dev/null)"})
    compadd -a names
}

_kvmswitch() {
    local curcontext=$curcontext state line
    typeset -A opt_args
    local -a common verbs
    common=(
        '--json[print JSON]'
        '--socket[the socket of the daemon]:path:_files'
        '--no-color[no colours]'
        '--version[print the version]'
        '(-h --help)'{-h,--help}'[print help]'
    )
    _arguments -C $common '1: :->verb' '*:: :->rest' && return 0

    if [[ $state == verb ]]; then
        verbs=(
            'status:show machines and devices'
            'give:hand devices over to a machine'
            'take:bring devices home'
            'toggle:give what is home, take what is away'
            'vm:start, stop and show machines'
            'guest:decide which guests may talk to the daemon'
            'hotkeys:help with hotkeys'
            'history:list finished handoffs'
            'completion:print a completion script'
        )
        _describe command verbs
        return
    fi

    case $words[1] in
        status) _arguments $common '--watch[show every change]' ;;
        give) _arguments $common '--to[machine]:machine:{_kvmswitch_names machines}' '--for[time limit]:time:' '--force[also what is mounted, and the last keyboard]' \
            '(-v --verbose)'{-v,--verbose}'[print every step]' '*:device:{_kvmswitch_names devices}' ;;
        take) _arguments $common '--all[every device]' \
            '(-v --verbose)'{-v,--verbose}'[print every step]' '*:device:{_kvmswitch_names devices}' ;;
        toggle) _arguments $common '--to[machine]:machine:{_kvmswitch_names machines}' \
            '(-v --verbose)'{-v,--verbose}'[print every step]' '*:device:{_kvmswitch_names devices}' ;;
        vm) _arguments -C $common '--timeout[for stop and restart]:time:' '1:verb:(list start stop restart kill args)' '2:machine:{_kvmswitch_names machines}' ;;
        guest)
            if [[ $words[2] == revoke ]]; then
                _arguments $common '1:verb:(pair tools list revoke)' '2:guest:{_kvmswitch_names guests}'
            else
                _arguments $common '--for[for pair and tools]:time:' '--remove[for tools]' '1:verb:(pair tools list revoke)' '2:machine:{_kvmswitch_names machines}'
            fi ;;
        hotkeys) _arguments $common '1:verb:(test)' ;;
        history) _arguments $common '(-n --limit)'{-n,--limit}'[how many]:number:' ;;
        completion) _arguments $common '1:shell:(bash zsh fish)' ;;
    esac
}

if [[ $funcstack[1] == _kvmswitch ]]; then
    _kvmswitch "$@"
else
    compdef _kvmswitch kvmswitch
fi
