/** Fields of forms, each with its label. */
import { type ReactNode, useId } from "react";

/** What all fields have. */
interface FieldProps {
  readonly label: string;
  /** Stands below the field. */
  readonly hint?: string;
}

/** Puts the label above a field and the hint below it. `children` makes the field from the attributes that tie them. */
function Field(props: FieldProps & { readonly children: (ties: FieldTies) => ReactNode }) {
  const { label, hint, children } = props;
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, ...(hint !== undefined && { "aria-describedby": `${id}-hint` }) })}
      {hint !== undefined && (
        <span id={`${id}-hint`} className="quiet">
          {hint}
        </span>
      )}
    </div>
  );
}

interface FieldTies {
  readonly id: string;
  readonly "aria-describedby"?: string;
}

/** A line of text. */
export function TextField(
  props: FieldProps & {
    readonly value: string;
    readonly onChange: (value: string) => void;
    readonly placeholder?: string;
    readonly isRequired?: boolean;
    readonly type?: "text" | "number" | "datetime-local";
    /** Whether it is shown in letters of one width, such as a key. */
    readonly isMono?: boolean;
    readonly maxLength?: number;
    /** What may be typed; the browser shows those that match. */
    readonly suggestions?: readonly string[];
  },
) {
  const {
    label,
    hint,
    value,
    onChange,
    placeholder,
    isRequired,
    type = "text",
    isMono,
    maxLength,
    suggestions,
  } = props;
  const listId = useId();
  return (
    <Field label={label} {...(hint !== undefined && { hint })}>
      {(ties) => (
        <>
          <input
            {...ties}
            type={type}
            className={isMono === true ? "mono" : undefined}
            value={value}
            placeholder={placeholder}
            required={isRequired}
            maxLength={maxLength}
            list={suggestions && listId}
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => onChange(event.target.value)}
          />
          {suggestions && (
            <datalist id={listId}>
              {suggestions.map((each) => (
                <option key={each} value={each} />
              ))}
            </datalist>
          )}
        </>
      )}
    </Field>
  );
}

/** Several lines of text. */
export function TextArea(
  props: FieldProps & { readonly value: string; readonly rows: number; readonly onChange: (value: string) => void },
) {
  const { label, hint, value, rows, onChange } = props;
  return (
    <Field label={label} {...(hint !== undefined && { hint })}>
      {(ties) => (
        <textarea
          {...ties}
          rows={rows}
          value={value}
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

/** A file, of which the bytes are read when it is chosen. */
export function FileField(
  props: FieldProps & {
    /** Name of the file that was chosen before; the browser's own text forgets it. */
    readonly chosen?: string;
    readonly onChange: (file: { readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> } | undefined) => void;
  },
) {
  const { label, chosen, onChange } = props;
  const hint = [chosen !== undefined && `${chosen} is chosen.`, props.hint].filter(Boolean).join(" ");
  const read = async (file: File | undefined) => {
    onChange(file && { name: file.name, bytes: new Uint8Array(await file.slice(0, maxFileBytes).arrayBuffer()) });
  };
  return (
    <Field label={label} {...(hint !== "" && { hint })}>
      {(ties) => <input {...ties} type="file" onChange={(event) => void read(event.target.files?.[0])} />}
    </Field>
  );
}

/** More than any field takes, so that a file that is too large is refused as such and not read whole. */
const maxFileBytes = 2 ** 20;

/** A choice of a few. */
export function SelectField(props: {
  readonly label: string;
  readonly value: string;
  /** Values and what they are called. */
  readonly choices: readonly (readonly [value: string, name: string])[];
  readonly onChange: (value: string) => void;
}) {
  return (
    <Field label={props.label}>
      {(ties) => (
        <select {...ties} value={props.value} onChange={(event) => props.onChange(event.target.value)}>
          {props.choices.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** Something that has to be said explicitly, with what it means. */
export function Tick(props: {
  readonly name: string;
  readonly isOn: boolean;
  readonly onChange: (isOn: boolean) => void;
  readonly children: ReactNode;
}) {
  const id = useId();
  return (
    <div className="tick">
      <input
        id={id}
        type="checkbox"
        checked={props.isOn}
        aria-describedby={`${id}-meaning`}
        onChange={(event) => props.onChange(event.target.checked)}
      />
      <label htmlFor={id}>{props.name}</label>
      <p id={`${id}-meaning`} className="quiet">
        {props.children}
      </p>
    </div>
  );
}
