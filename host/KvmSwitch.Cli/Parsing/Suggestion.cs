namespace KvmSwitch.Cli.Parsing;

/// <summary>The word that somebody probably meant.</summary>
internal static class Suggestion
{
    /// <summary>`; did you mean 'x'?`, or nothing when no word is near.</summary>
    public static string For(string typed, IEnumerable<string> known)
    {
        var nearest = known.Select(word => (word, distance: Distance(typed, word))).OrderBy(pair => pair.distance).FirstOrDefault();
        var near = nearest.word is not null && nearest.distance <= Math.Max(1, nearest.word.TrimStart('-').Length / 2);
        return near ? $"; did you mean '{nearest.word}'?" : "";
    }

    /// <summary>Insertions, deletions, replacements and swaps of neighbours between two words.</summary>
    internal static int Distance(string from, string to)
    {
        var cost = new int[from.Length + 1, to.Length + 1];
        for (var i = 0; i <= from.Length; i++)
        {
            for (var j = 0; j <= to.Length; j++)
            {
                cost[i, j] = (i, j) switch
                {
                    (0, _) => j,
                    (_, 0) => i,
                    _ => Cheapest(i, j),
                };
            }
        }

        return cost[from.Length, to.Length];

        int Cheapest(int i, int j)
        {
            var replace = cost[i - 1, j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
            var best = Math.Min(replace, Math.Min(cost[i - 1, j], cost[i, j - 1]) + 1);
            var swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
            return swapped ? Math.Min(best, cost[i - 2, j - 2] + 1) : best;
        }
    }
}
