r"""Training rows: which solutions become one, what is cut from them, and in which order they stand.

A solution falls out at the first of these steps that it fails, and is counted there; a step that is not asked for is
not in the counts:

    step                    reason               falls out when
    skip_first              skipped              it is one of the first rows of its file
    keep                    truncated            the model was cut off before it gave an answer
                            no_answer            there is no answer in it
                            no_majority          its problem has no known answer, and no vote gave one
                            wrong                its answer is not the expected one (known, or the majority's)
                            unparsed             its answer cannot be read, and is not the text of the expected one
                            timeout              comparing its answer with the expected one took too long
                            judged_invalid       what the judge said is neither yes nor no
                            right                its answer is right, and only others are asked for
    no_text                 no_problem           its problem is missing, or nothing but white space
                            no_solution          so is the solution
    validation              other_part           its problem belongs to the other of training and validation
    drop_multi_boxed        multi_boxed          it holds more than one \boxed
    contamination           contaminated         its problem is one of a benchmark
    drop_code_errors        code_error           it shows what a failed program prints
    drop_matplotlib         matplotlib           it draws with matplotlib
    drop_no_code            no_code              it has no <tool_call> ... </tool_call>
    drop_no_think           no_think             it has no <think> ... </think>
    drop_verification_code  verification_code    it announces code that only verifies
    majority                few_votes            the expected answer is a majority's that too few agreed on
    cut_end                 cut_end              the model was cut off, and trimming did not take the cut end away
    drop_wrong_arithmetic   wrong_arithmetic     an equation of plain numbers in it is wrong
    count_code_executions   no_count             it does not say how many programs may follow
    problem_length          problem_too_short, problem_too_long
    solution_length         too_short, too_long
    deduplicate             duplicate            problem and solution, as they would be written, came before
    code_filter             other_kind           with (or without) code, where its problem keeps the others
    downsample              not_sampled          others were taken

The prefix is trimmed and the end cut before ``cut_end``, chains of arithmetic are split before the lengths are taken.
The order is that of NeMo-Skills (prepare_data, cb3f35bc), with one de-duplication instead of two: after trimming, and
before the sample is taken, so that a sample has the size that was asked for.

Rows go through as a stream, in several processes; nothing of a row stays in memory:

    shards     a seed of a folder, a piece of a file         read, filtered and formatted by whoever is free
    spool      buckets on disk, by a hash of each row        equal rows meet in one bucket
    choose     hashes alone, bucket by bucket                de-duplicate; sample by the hash, problem by problem
    write      bucket after bucket, each sorted by the hash  the buckets, end to end, are the shuffled file

The hash (64 bits, of the text and a seed) decides, not a position in memory: the result depends on neither the number
of processes nor that of buckets. Twenty million rows share a hash by chance once in 100,000 runs.
"""
