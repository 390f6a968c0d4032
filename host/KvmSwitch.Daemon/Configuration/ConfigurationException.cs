using System.Collections.Immutable;

namespace KvmSwitch.Daemon.Configuration;

/// <summary>One thing that is wrong in the configuration.</summary>
/// <param name="Line">From 1; 0 for what concerns the file as a whole.</param>
/// <param name="Column">From 1; 0 for what concerns the file as a whole.</param>
/// <param name="Key">Dotted, as <c>machine.win.memory</c>; empty for a mistake in the writing.</param>
/// <param name="Problem">What is wrong, and what to do.</param>
public sealed record ConfigurationError(string File, int Line, int Column, string Key, string Problem)
{
    public override string ToString() =>
        (Line > 0 ? $"{File}:{Line}:{Column}: " : $"{File}: ") + (Key.Length > 0 ? $"{Key}: {Problem}" : Problem);
}

/// <summary>The configuration can't be used. The message has one line for each error, in the order of the file.</summary>
public sealed class ConfigurationException : Exception
{
    public ConfigurationException(ImmutableArray<ConfigurationError> errors, Exception? inner = null)
        : base(string.Join('\n', errors), inner) => Errors = errors;

    public ImmutableArray<ConfigurationError> Errors { get; }
}

/// <summary>Collects errors while the configuration is read, so that all are told at once.</summary>
internal sealed class ConfigurationErrors(string file)
{
    private readonly List<ConfigurationError> _errors = [];

    public void Add(Place place, string key, string problem) => _errors.Add(new(file, place.Line, place.Column, key, problem));

    /// <exception cref="ConfigurationException">There is at least one error.</exception>
    public void ThrowIfAny()
    {
        if (_errors.Count > 0) throw new ConfigurationException([.. _errors.OrderBy(error => error.Line).ThenBy(error => error.Column)]);
    }
}
