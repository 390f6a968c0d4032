# fish completion for kvmswitch
function __kvmswitch_names
    kvmswitch complete $argv[1] 2>/dev/null
end

function __kvmswitch_at
    set -l words (commandline -opc)
    set -e words[1]
    string match -q -- "$argv" (string match -v -- '-*' $words | string join ' ' | string sub -l (string length -- "$argv"))
end

complete -c kvmswitch -f
complete -c kvmswitch -l json -d 'print JSON'
complete -c kvmswitch -l socket -rF -d 'the socket of the daemon'
complete -c kvmswitch -l no-color -d 'no colours'
complete -c kvmswitch -l version -d 'print the version'
complete -c kvmswitch -s h -l help -d 'print help'

complete -c kvmswitch -n __fish_use_subcommand -a status -d 'show machines and devices'
complete -c kvmswitch -n __fish_use_subcommand -a give -d 'hand devices over to a machine'
complete -c kvmswitch -n __fish_use_subcommand -a take -d 'bring devices home'
complete -c kvmswitch -n __fish_use_subcommand -a toggle -d 'give what is home, take what is away'
complete -c kvmswitch -n __fish_use_subcommand -a vm -d 'start, stop and show machines'
complete -c kvmswitch -n __fish_use_subcommand -a guest -d 'decide which guests may talk to the daemon'
complete -c kvmswitch -n __fish_use_subcommand -a hotkeys -d 'help with hotkeys'
complete -c kvmswitch -n __fish_use_subcommand -a history -d 'list finished handoffs'
complete -c kvmswitch -n __fish_use_subcommand -a completion -d 'print a completion script'

complete -c kvmswitch -n '__kvmswitch_at status' -l watch -d 'show every change'
complete -c kvmswitch -n '__kvmswitch_at give; or __kvmswitch_at take; or __kvmswitch_at toggle' -a '(__kvmswitch_names devices)'
complete -c kvmswitch -n '__kvmswitch_at give; or __kvmswitch_at take; or __kvmswitch_at toggle' -s v -l verbose -d 'print every step'
complete -c kvmswitch -n '__kvmswitch_at give; or __kvmswitch_at toggle' -l to -xa '(__kvmswitch_names machines)' -d machine
complete -c kvmswitch -n '__kvmswitch_at give; or __kvmswitch_at guest pair; or __kvmswitch_at guest tools' -l for -x -d 'time, like 2m'
complete -c kvmswitch -n '__kvmswitch_at give' -l force -d 'also what is mounted, and the last keyboard'
complete -c kvmswitch -n '__kvmswitch_at hotkeys' -a test -d 'show live what the daemon hears'
complete -c kvmswitch -n '__kvmswitch_at take' -l all -d 'every device that is away'
complete -c kvmswitch -n '__kvmswitch_at history' -s n -l limit -x -d 'how many'
complete -c kvmswitch -n '__kvmswitch_at completion' -a 'bash zsh fish'

complete -c kvmswitch -n '__kvmswitch_at vm; and not __fish_seen_subcommand_from list start stop restart kill args' -a 'list start stop restart kill args'
complete -c kvmswitch -n '__kvmswitch_at vm; and __fish_seen_subcommand_from start stop restart kill args' -a '(__kvmswitch_names machines)'
complete -c kvmswitch -n '__kvmswitch_at vm stop; or __kvmswitch_at vm restart' -l timeout -x -d 'time, like 2m'
complete -c kvmswitch -n '__kvmswitch_at guest; and not __fish_seen_subcommand_from pair tools list revoke' -a 'pair tools list revoke'
complete -c kvmswitch -n '__kvmswitch_at guest pair; or __kvmswitch_at guest tools' -a '(__kvmswitch_names machines)'
complete -c kvmswitch -n '__kvmswitch_at guest revoke' -a '(__kvmswitch_names guests)'
complete -c kvmswitch -n '__kvmswitch_at guest tools' -l remove -d 'take the disc away at once'
