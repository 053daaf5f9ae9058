# The judges beside the repository. Sourced by run and nightly.

# Judges that live beside the repository. A judge runs if it is there and the driver has its
# subcommand. Those named here decide whether the run passes; the verdict of the others is only shown.
DECIDING_JUDGES='faults sources command oracle-public oracle-adc random-public random-adc agent'
ORACLE_AREAS='public adc'
JUDGE_SECONDS=900

judges() {
    local driver=$target/release/conformance-driver gce_auth=$target/release/gce-auth ran=0
    if [[ -d ../shared ]]; then
        # One by one: together, the command would be built once more, with the features of the driver.
        cargo build --locked --release -p gce-auth-conformance
        cargo build --locked --release -p gce-auth-cli
        if [[ -e ../shared/faults/run_matrix.py ]] && has_subcommand "$driver" faults; then
            ran=1
            judge_faults
        fi
        if [[ -e ../shared/conformance/oracle.py ]] && has_subcommand "$driver" oracle; then
            ran=1
            judge_oracle
        fi
        if [[ -e ../shared/agent/judge.py ]] && has_subcommand "$gce_auth" agent; then
            ran=1
            judge_agent "$gce_auth"
        fi
    fi
    ((ran)) || not_checked 'judges: there are none beside this repository'
}

judge_faults() {
    local scenarios
    # It turns the wall clock with libfaketime.
    packages libfaketime
    judge faults python3 ../shared/faults/run_matrix.py --driver "gce-auth=$driver faults" \
        --strict-kinds --gate --jobs 4 --out "$target/faults.json"
    # Every other source, whose servers misbehave in the same ways.
    judge sources conformance/source_faults ../shared/faults "$driver faults" \
        --every "${SOURCE_FAULTS_EVERY:-3}" --out "$target/sources.json"
    # The same with the command, where a scenario is one call.
    scenarios=$(python3 ../shared/faults/faultserver.py --list | python3 conformance/command_driver.py scenarios)
    judge command python3 ../shared/faults/run_matrix.py --only "$scenarios" \
        --driver "gce-auth=python3 conformance/command_driver.py $gce_auth" \
        --strict-kinds --gate --jobs 4 --out "$target/command.json"
}

# As root: other users, network namespaces and cgroups call. What the machine does not let it try is
# named one by one. The case that wants the number of a process once more runs alone, and again while
# another process of the machine gets it.
judge_agent() {
    local case why gaps alone=caller.pid-reuse try
    local run=(python3 ../shared/agent/judge.py --agent "$1 agent" --quiet)
    packages curl iproute2 util-linux
    judge agent "${run[@]}" --not "$alone" --report "$target/agent.json"
    for try in 1 2 3 4 5; do
        judge agent "${run[@]}" --only "$alone" --jobs 1 --report "$target/agent-alone.json"
        [[ -n $(skipped "$target/agent-alone.json") ]] || break
    done
    gaps=$(skipped "$target/agent.json" "$target/agent-alone.json")
    while IFS=$'\t' read -r case why; do
        [[ -z $case ]] || not_checked "judge agent, case $case: $why"
    done <<<"$gaps"
}

skipped() {
    python3 -c '
import json, sys
for report in sys.argv[1:]:
    for result in json.load(open(report))["results"]:
        if result["verdict"] == "skipped":
            print(result["id"], result["why"].replace("\n", " "), sep="\t")' "$@"
}

judge_oracle() {
    local area reports=()
    for area in $ORACLE_AREAS; do
        judge "oracle-$area" python3 ../shared/conformance/oracle.py compare \
            --truth "../shared/conformance/truth/$area" --driver "$driver oracle" \
            --allow conformance/allow.json --report "$target/oracle-$area.json"
        judge "random-$area" conformance/random --area "$area" --fresh "${RANDOM_SEEDS:-2}" --driver "$driver oracle"
        reports+=("$target/oracle-$area.json")
    done
    python3 .ci/used_differences.py conformance/allow.json "${reports[@]}" ||
        die 'conformance/allow.json allows more than is needed'
}

judge() {
    local judge=$1 verdict=0
    shift
    timeout "$JUDGE_SECONDS" "$@" || verdict=$?
    printf 'judge %s: exit code %d\n' "$judge" "$verdict"
    if ((verdict != 0)); then
        [[ " $DECIDING_JUDGES " != *" $judge "* ]] || die "judge $judge is not satisfied"
        not_checked "judge $judge, whose verdict is shown and does not decide"
    fi
}

has_subcommand() {
    "$1" help | grep -E "^ +$2( |\$)" >/dev/null
}
