function _vaezip_completion;
    set -l word (commandline -t);
    set -l before (string match --regex -- '^--[^=]+=' $word);
    set -lx _VAEZIP_COMPLETE fish_complete;
    set -lx COMP_WORDS (commandline -cp);
    set -lx COMP_CWORD $word;

    for completion in (vaezip);
        set -l found (string split --max 1 "," -- $completion);

        if test $found[1] = "dir";
            __fish_complete_directories $found[2] | string replace --regex -- '^' "$before";
        else if test $found[1] = "file";
            __fish_complete_path $found[2] | string replace --regex -- '^' "$before";
        else if test $found[1] = "plain";
            echo -- "$before$found[2]";
        end;
    end;
end;

complete --no-files --command vaezip --arguments "(_vaezip_completion)";
