# git: a repository with branches, merges, a conflict, packing, clone, bisect, hooks; hashes are known natively.
#: packages: git coreutils sed grep perl
#: native
#: time: 200
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@b GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000' GIT_PAGER=cat
git init -q -b main repo && cd repo || exit 1
git config pack.threads 2
for i in $(seq 1 12); do
    seq $i $((i * 40)) > file$i; mkdir -p dir$((i % 3)); echo "line $i" >> dir$((i % 3))/log
    git add -A && git commit -qm "commit $i"
done
git rev-parse HEAD
git checkout -qb side HEAD~3 && sed -i 's/^5$/five/' file1 && git commit -qam side && git checkout -q main
git merge -q -m merge side && git rev-parse HEAD
git checkout -qb other HEAD~1 && echo x > file2 && git commit -qam x && git checkout -q main
echo y > file2 && git commit -qam y
git merge other > out 2>&1; echo "conflict $?"; git diff --name-only --diff-filter=U; git merge --abort
git rebase -q other 2>/dev/null; echo "rebase $?"; git rebase --abort
git log --oneline --graph -n 5
git gc -q && git fsck --full 2>&1 && git count-objects -v | grep -E '^(count|in-pack|packs)'
git clone -q --no-local . ../clone && cd ../clone && git rev-parse HEAD && git status --short
echo hidden > stashed && git add stashed && git stash -q && git stash list | cut -c1-20 && git stash pop -q && cat stashed
printf '#!/bin/sh\necho hook ran; exit 1\n' > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit
git commit -qm refused 2>&1; echo "hook $?"
git commit -qnm passed && git push -q origin HEAD:refs/heads/pushed && git -C ../repo rev-parse pushed
git bisect start -q HEAD HEAD~8 > /dev/null && git bisect run sh -c '! [ -e file9 ]' 2>/dev/null | grep -c 'first bad'
git archive --format=tar HEAD | sha256sum
git grep -c 'line' | sort; git blame -s dir1/log | head -n 3; git format-patch -q -1 --stdout HEAD | git patch-id | wc -l
