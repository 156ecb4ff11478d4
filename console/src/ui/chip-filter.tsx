/** A filter as text with completion, and as chips that can be taken away one by one. */
import { useId, useState } from "react";
import { findField } from "./keyboard.tsx";

/** A condition that is in force. */
export interface Chip {
  /** Text of the condition, as it would be typed; unique among the chips. */
  readonly text: string;
}

/** Shows the chips and takes further conditions. `onAdd` returns what is wrong with a text, or undefined. */
export function ChipFilter(props: {
  readonly label: string;
  readonly chips: readonly Chip[];
  /** What may be typed; the browser shows those that match. */
  readonly suggestions: readonly string[];
  readonly placeholder?: string;
  readonly onAdd: (text: string) => string | undefined;
  readonly onRemove: (text: string) => void;
}) {
  const { label, chips, suggestions, placeholder, onAdd, onRemove } = props;
  const [text, setText] = useState("");
  const [mistake, setMistake] = useState<string>();
  const id = useId();
  return (
    <form
      className="grow"
      onSubmit={(event) => {
        event.preventDefault();
        if (text.trim() === "") return;
        const wrong = onAdd(text.trim());
        setMistake(wrong);
        if (wrong === undefined) setText("");
      }}
    >
      <label className="visually-hidden" htmlFor={`${id}-text`}>
        {label}
      </label>
      <input
        id={`${id}-text`}
        type="search"
        list={`${id}-list`}
        value={text}
        placeholder={placeholder ?? label}
        autoComplete="off"
        spellCheck={false}
        aria-invalid={mistake !== undefined}
        aria-describedby={`${id}-mistake`}
        onChange={(event) => {
          setText(event.target.value);
          setMistake(undefined);
        }}
        {...findField}
      />
      <datalist id={`${id}-list`}>
        {suggestions.map((suggestion) => (
          <option key={suggestion} value={suggestion} />
        ))}
      </datalist>
      <div id={`${id}-mistake`} role="status" className="mistake">
        {mistake}
      </div>
      {chips.length > 0 && (
        <ul className="chips" aria-label={`${label}: in force`}>
          {chips.map((chip) => (
            <li key={chip.text} className="chip">
              <span className="safe-text">{chip.text}</span>
              <button type="button" aria-label={`Remove ${chip.text}`} onClick={() => onRemove(chip.text)}>
                ✕
              </button>
            </li>
          ))}
        </ul>
      )}
    </form>
  );
}
