# hftpd(8) completion for fish

set -l commands check reload status

complete -c hftpd -f
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -a check -d "Validate the configuration"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -a reload -d "Reload the configuration of the running daemon"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -a status -d "Print the status of the running daemon"
complete -c hftpd -s c -l config -r -F -d "Read this configuration file"
complete -c hftpd -l help -d "Print a summary of options"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -s d -l root -x -a "(__fish_complete_directories)" -d "Publish this directory"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -s a -l address -x -d "Listen on this address"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -s p -l port -x -d "Listen on this port"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -l daemon -d "Run in the background"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -l pid-file -r -F -d "Write the process ID to this file"
complete -c hftpd -n "not __fish_seen_subcommand_from $commands" -l version -d "Print the version"
complete -c hftpd -n "__fish_seen_subcommand_from check" -l dump -d "Print the effective configuration"
complete -c hftpd -n "__fish_seen_subcommand_from status" -l json -d "Print the status as JSON"
