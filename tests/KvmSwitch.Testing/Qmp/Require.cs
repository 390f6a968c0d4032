namespace KvmSwitch.Testing.Qmp;

/// <summary>A scenario did not go as it should.</summary>
public sealed class ScenarioFailedException(string message, Exception? innerException = null) : Exception(message, innerException);

/// <summary>The few assertions that scenarios need, so that they depend on no test framework.</summary>
internal static class Require
{
    internal static void That(bool holds, string sentence)
    {
        if (!holds)
        {
            throw new ScenarioFailedException($"This should hold: {sentence}.");
        }
    }

    internal static void Equal<T>(T expected, T actual) =>
        That(EqualityComparer<T>.Default.Equals(expected, actual), $"'{actual}' is '{expected}'");

    internal static void Same(object expected, object actual) => That(ReferenceEquals(expected, actual), $"'{actual}' is the very same as '{expected}'");

    internal static async Task<T> ThrowsAsync<T>(Func<Task> act)
        where T : Exception
    {
        try
        {
            await act();
        }
        catch (T expected)
        {
            return expected;
        }
        catch (Exception other)
        {
            throw new ScenarioFailedException($"{typeof(T).Name} was expected, but {other.GetType().Name} came: {other.Message}", other);
        }

        throw new ScenarioFailedException($"{typeof(T).Name} was expected, but nothing was thrown.");
    }
}
