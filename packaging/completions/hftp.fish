# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_hftp_global_optspecs
    string join \n q/quiet v/verbose json proto= retries= timeout= connect-timeout= h/help V/version
end

function __fish_hftp_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_hftp_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_hftp_using_subcommand
    set -l cmd (__fish_hftp_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c hftp -n "__fish_hftp_needs_command" -l proto -d 'Ask for slices in this encoding, instead of finding it out' -r -f -a "raw\t'Bytes as they are, by the fourth argument of the request'
base64\t'Base64 (since 2019)'
plain\t'Bytes and CR LF (2018)'
fragments\t'Lengths and bytes (2008 to 2017)'"
complete -c hftp -n "__fish_hftp_needs_command" -l retries -d 'Try again as often as this without progress' -r
complete -c hftp -n "__fish_hftp_needs_command" -l timeout -d 'The longest silence of the server' -r
complete -c hftp -n "__fish_hftp_needs_command" -l connect-timeout -d 'The longest time to connect' -r
complete -c hftp -n "__fish_hftp_needs_command" -s q -l quiet -d 'Print errors only'
complete -c hftp -n "__fish_hftp_needs_command" -s v -l verbose -d 'Show the conversation with the server'
complete -c hftp -n "__fish_hftp_needs_command" -l json -d 'Print results as lines of JSON'
complete -c hftp -n "__fish_hftp_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hftp -n "__fish_hftp_needs_command" -s V -l version -d 'Print version'
complete -c hftp -n "__fish_hftp_needs_command" -f -a "ls" -d 'List the names of the files'
complete -c hftp -n "__fish_hftp_needs_command" -f -a "stat" -d 'Print the sizes of files'
complete -c hftp -n "__fish_hftp_needs_command" -f -a "get" -d 'Fetch files'
complete -c hftp -n "__fish_hftp_needs_command" -f -a "cat" -d 'Write a file to standard output'
complete -c hftp -n "__fish_hftp_needs_command" -f -a "sync" -d 'Make a directory the same as the files of a server'
complete -c hftp -n "__fish_hftp_needs_command" -f -a "completions" -d 'Print a completion script'
complete -c hftp -n "__fish_hftp_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hftp -n "__fish_hftp_using_subcommand ls" -l proto -d 'Ask for slices in this encoding, instead of finding it out' -r -f -a "raw\t'Bytes as they are, by the fourth argument of the request'
base64\t'Base64 (since 2019)'
plain\t'Bytes and CR LF (2018)'
fragments\t'Lengths and bytes (2008 to 2017)'"
complete -c hftp -n "__fish_hftp_using_subcommand ls" -l retries -d 'Try again as often as this without progress' -r
complete -c hftp -n "__fish_hftp_using_subcommand ls" -l timeout -d 'The longest silence of the server' -r
complete -c hftp -n "__fish_hftp_using_subcommand ls" -l connect-timeout -d 'The longest time to connect' -r
complete -c hftp -n "__fish_hftp_using_subcommand ls" -s l -l long -d 'With sizes and a total'
complete -c hftp -n "__fish_hftp_using_subcommand ls" -s q -l quiet -d 'Print errors only'
complete -c hftp -n "__fish_hftp_using_subcommand ls" -s v -l verbose -d 'Show the conversation with the server'
complete -c hftp -n "__fish_hftp_using_subcommand ls" -l json -d 'Print results as lines of JSON'
complete -c hftp -n "__fish_hftp_using_subcommand ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hftp -n "__fish_hftp_using_subcommand stat" -l proto -d 'Ask for slices in this encoding, instead of finding it out' -r -f -a "raw\t'Bytes as they are, by the fourth argument of the request'
base64\t'Base64 (since 2019)'
plain\t'Bytes and CR LF (2018)'
fragments\t'Lengths and bytes (2008 to 2017)'"
complete -c hftp -n "__fish_hftp_using_subcommand stat" -l retries -d 'Try again as often as this without progress' -r
complete -c hftp -n "__fish_hftp_using_subcommand stat" -l timeout -d 'The longest silence of the server' -r
complete -c hftp -n "__fish_hftp_using_subcommand stat" -l connect-timeout -d 'The longest time to connect' -r
complete -c hftp -n "__fish_hftp_using_subcommand stat" -s q -l quiet -d 'Print errors only'
complete -c hftp -n "__fish_hftp_using_subcommand stat" -s v -l verbose -d 'Show the conversation with the server'
complete -c hftp -n "__fish_hftp_using_subcommand stat" -l json -d 'Print results as lines of JSON'
complete -c hftp -n "__fish_hftp_using_subcommand stat" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hftp -n "__fish_hftp_using_subcommand get" -s o -l output -d 'Write the file to this path; - is standard output' -r -F
complete -c hftp -n "__fish_hftp_using_subcommand get" -s d -l dir -d 'Write the files to this directory' -r -f -a "(__fish_complete_directories)"
complete -c hftp -n "__fish_hftp_using_subcommand get" -s j -l jobs -d 'Fetch slices of a file over this many connections' -r
complete -c hftp -n "__fish_hftp_using_subcommand get" -l limit-rate -d 'Receive at most this many bytes a second' -r
complete -c hftp -n "__fish_hftp_using_subcommand get" -l sums -d 'Verify the files against this file of SHA-256 sums of the server' -r
complete -c hftp -n "__fish_hftp_using_subcommand get" -l proto -d 'Ask for slices in this encoding, instead of finding it out' -r -f -a "raw\t'Bytes as they are, by the fourth argument of the request'
base64\t'Base64 (since 2019)'
plain\t'Bytes and CR LF (2018)'
fragments\t'Lengths and bytes (2008 to 2017)'"
complete -c hftp -n "__fish_hftp_using_subcommand get" -l retries -d 'Try again as often as this without progress' -r
complete -c hftp -n "__fish_hftp_using_subcommand get" -l timeout -d 'The longest silence of the server' -r
complete -c hftp -n "__fish_hftp_using_subcommand get" -l connect-timeout -d 'The longest time to connect' -r
complete -c hftp -n "__fish_hftp_using_subcommand get" -s c -l continue -d 'Resume from NAME.part'
complete -c hftp -n "__fish_hftp_using_subcommand get" -l force -d 'Replace files that exist'
complete -c hftp -n "__fish_hftp_using_subcommand get" -s q -l quiet -d 'Print errors only'
complete -c hftp -n "__fish_hftp_using_subcommand get" -s v -l verbose -d 'Show the conversation with the server'
complete -c hftp -n "__fish_hftp_using_subcommand get" -l json -d 'Print results as lines of JSON'
complete -c hftp -n "__fish_hftp_using_subcommand get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hftp -n "__fish_hftp_using_subcommand cat" -l range -d 'Only these bytes; without SIZE all from OFFSET on' -r
complete -c hftp -n "__fish_hftp_using_subcommand cat" -l proto -d 'Ask for slices in this encoding, instead of finding it out' -r -f -a "raw\t'Bytes as they are, by the fourth argument of the request'
base64\t'Base64 (since 2019)'
plain\t'Bytes and CR LF (2018)'
fragments\t'Lengths and bytes (2008 to 2017)'"
complete -c hftp -n "__fish_hftp_using_subcommand cat" -l retries -d 'Try again as often as this without progress' -r
complete -c hftp -n "__fish_hftp_using_subcommand cat" -l timeout -d 'The longest silence of the server' -r
complete -c hftp -n "__fish_hftp_using_subcommand cat" -l connect-timeout -d 'The longest time to connect' -r
complete -c hftp -n "__fish_hftp_using_subcommand cat" -s q -l quiet -d 'Print errors only'
complete -c hftp -n "__fish_hftp_using_subcommand cat" -s v -l verbose -d 'Show the conversation with the server'
complete -c hftp -n "__fish_hftp_using_subcommand cat" -l json -d 'Print results as lines of JSON'
complete -c hftp -n "__fish_hftp_using_subcommand cat" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hftp -n "__fish_hftp_using_subcommand sync" -s j -l jobs -d 'Fetch slices of a file over this many connections' -r
complete -c hftp -n "__fish_hftp_using_subcommand sync" -l limit-rate -d 'Receive at most this many bytes a second' -r
complete -c hftp -n "__fish_hftp_using_subcommand sync" -l sums -d 'Verify the files against this file of SHA-256 sums of the server' -r
complete -c hftp -n "__fish_hftp_using_subcommand sync" -l proto -d 'Ask for slices in this encoding, instead of finding it out' -r -f -a "raw\t'Bytes as they are, by the fourth argument of the request'
base64\t'Base64 (since 2019)'
plain\t'Bytes and CR LF (2018)'
fragments\t'Lengths and bytes (2008 to 2017)'"
complete -c hftp -n "__fish_hftp_using_subcommand sync" -l retries -d 'Try again as often as this without progress' -r
complete -c hftp -n "__fish_hftp_using_subcommand sync" -l timeout -d 'The longest silence of the server' -r
complete -c hftp -n "__fish_hftp_using_subcommand sync" -l connect-timeout -d 'The longest time to connect' -r
complete -c hftp -n "__fish_hftp_using_subcommand sync" -l delete -d 'Remove files that the server does not have'
complete -c hftp -n "__fish_hftp_using_subcommand sync" -s n -l dry-run -d 'Print what would be done'
complete -c hftp -n "__fish_hftp_using_subcommand sync" -l verify -d 'Compare the bytes of files that have the same size'
complete -c hftp -n "__fish_hftp_using_subcommand sync" -s q -l quiet -d 'Print errors only'
complete -c hftp -n "__fish_hftp_using_subcommand sync" -s v -l verbose -d 'Show the conversation with the server'
complete -c hftp -n "__fish_hftp_using_subcommand sync" -l json -d 'Print results as lines of JSON'
complete -c hftp -n "__fish_hftp_using_subcommand sync" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hftp -n "__fish_hftp_using_subcommand completions" -l proto -d 'Ask for slices in this encoding, instead of finding it out' -r -f -a "raw\t'Bytes as they are, by the fourth argument of the request'
base64\t'Base64 (since 2019)'
plain\t'Bytes and CR LF (2018)'
fragments\t'Lengths and bytes (2008 to 2017)'"
complete -c hftp -n "__fish_hftp_using_subcommand completions" -l retries -d 'Try again as often as this without progress' -r
complete -c hftp -n "__fish_hftp_using_subcommand completions" -l timeout -d 'The longest silence of the server' -r
complete -c hftp -n "__fish_hftp_using_subcommand completions" -l connect-timeout -d 'The longest time to connect' -r
complete -c hftp -n "__fish_hftp_using_subcommand completions" -s q -l quiet -d 'Print errors only'
complete -c hftp -n "__fish_hftp_using_subcommand completions" -s v -l verbose -d 'Show the conversation with the server'
complete -c hftp -n "__fish_hftp_using_subcommand completions" -l json -d 'Print results as lines of JSON'
complete -c hftp -n "__fish_hftp_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hftp -n "__fish_hftp_using_subcommand help; and not __fish_seen_subcommand_from ls stat get cat sync completions help" -f -a "ls" -d 'List the names of the files'
complete -c hftp -n "__fish_hftp_using_subcommand help; and not __fish_seen_subcommand_from ls stat get cat sync completions help" -f -a "stat" -d 'Print the sizes of files'
complete -c hftp -n "__fish_hftp_using_subcommand help; and not __fish_seen_subcommand_from ls stat get cat sync completions help" -f -a "get" -d 'Fetch files'
complete -c hftp -n "__fish_hftp_using_subcommand help; and not __fish_seen_subcommand_from ls stat get cat sync completions help" -f -a "cat" -d 'Write a file to standard output'
complete -c hftp -n "__fish_hftp_using_subcommand help; and not __fish_seen_subcommand_from ls stat get cat sync completions help" -f -a "sync" -d 'Make a directory the same as the files of a server'
complete -c hftp -n "__fish_hftp_using_subcommand help; and not __fish_seen_subcommand_from ls stat get cat sync completions help" -f -a "completions" -d 'Print a completion script'
complete -c hftp -n "__fish_hftp_using_subcommand help; and not __fish_seen_subcommand_from ls stat get cat sync completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'

function __hftp_names
    set -l url (commandline -ct)
    if string match -q 'hftp://*/*' -- $url
        set -l server (string replace -r '[^/]*$' '' -- $url)
        hftp ls -q --retries 0 --timeout 2 --connect-timeout 2 $server 2>/dev/null | string replace -r '^' -- $server
    end
end
complete -c hftp -n '__fish_seen_subcommand_from get cat stat' -f -a '(__hftp_names)'
