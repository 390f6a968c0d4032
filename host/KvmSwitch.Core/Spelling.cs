namespace KvmSwitch.Core;

/// <summary>Finds the word that was probably meant. The one place for this: configuration keys, device names, commands.</summary>
public static class Spelling
{
    /// <summary>
    /// The candidate with the fewest typing mistakes (a letter wrong, missing, too many, or two swapped), if that is at most
    /// one for every three letters, and always at least one; otherwise null. Case doesn't count. The first of equals wins.
    /// </summary>
    public static string? Closest(string word, IEnumerable<string> candidates)
    {
        // Beyond this nobody mistyped a word, and the cost is quadratic.
        if (word.Length > 64) return null;
        var best = candidates
            .Where(candidate => candidate.Length <= 64)
            .Select(candidate => (candidate, distance: Distance(word.ToUpperInvariant(), candidate.ToUpperInvariant())))
            .OrderBy(pair => pair.distance)
            .FirstOrDefault((candidate: "", distance: int.MaxValue));
        return best.distance <= Math.Max(1, Math.Min(word.Length, best.candidate.Length) / 3) ? best.candidate : null;
    }

    /// <summary><c>; did you mean 'x'?</c>, or nothing: to end a sentence with.</summary>
    public static string Hint(string word, IEnumerable<string> candidates) =>
        Closest(word, candidates) is { } closest ? $"; did you mean '{closest}'?" : "";

    /// <summary>Optimal string alignment: Levenshtein with swaps of neighbours.</summary>
    internal static int Distance(string a, string b)
    {
        var rows = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++) rows[i, 0] = i;
        for (var j = 0; j <= b.Length; j++) rows[0, j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            for (var j = 1; j <= b.Length; j++)
            {
                var change = rows[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                rows[i, j] = Math.Min(change, 1 + Math.Min(rows[i - 1, j], rows[i, j - 1]));
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) rows[i, j] = Math.Min(rows[i, j], rows[i - 2, j - 2] + 1);
            }
        }

        return rows[a.Length, b.Length];
    }
}
