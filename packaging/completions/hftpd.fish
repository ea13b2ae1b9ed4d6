# hftpd(8) completion for fish

set -l commands check reload status

complete -c hftpd -f
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -a check -d "Validate the configuration"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -a reload -d "Reload the running daemon"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -a status -d "Ask the running daemon"
complete -c hftpd -s c -l config -r -F -d "Read this configuration file"
complete -c hftpd -l help -d "Say how it is used"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -s d -l root -x -a "(__fish_complete_directories)" -d "Publish this directory"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -s a -l address -x -d "Listen on this address"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -s p -l port -x -d "Listen on this port"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -l daemon -d "Go to the background when ready"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -l pid-file -r -F -d "Write the process ID there"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -l version -d "Print the version"
complete -c hftpd -n "__fish_seen_subcommand_from check" -l dump -d "Print the effective configuration"
complete -c hftpd -n "__fish_seen_subcommand_from status" -l json -d "Print JSON"
