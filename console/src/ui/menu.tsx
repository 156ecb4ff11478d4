/** A button that opens a menu. */
import { DropdownMenu } from "radix-ui";
import type { ReactNode } from "react";

/** Something that the menu offers. */
export interface MenuItem {
  readonly name: string;
  readonly onSelect: () => void;
  /** Why it does nothing now, as a sentence. */
  readonly reason?: string | undefined;
}

/** Shows a button with the items behind it. The menu is not modal, which would write a style element into the page. */
export function Menu({ label, items }: { readonly label: ReactNode; readonly items: readonly MenuItem[] }) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>
        <button type="button">{label} ▾</button>
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" sideOffset={4} align="start">
          {items.map(({ name, onSelect, reason }) => (
            <DropdownMenu.Item key={name} disabled={reason !== undefined} onSelect={onSelect}>
              {name}
              {reason !== undefined && <div className="quiet">{reason}</div>}
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

/** Something that the menu switches on and off. */
export interface MenuSwitch {
  readonly id: string;
  readonly name: string;
  readonly isOn: boolean;
}

/** Shows a button with switches behind it, such as the columns of a table. It stays open for further ones. */
export function SwitchMenu(props: {
  readonly label: ReactNode;
  readonly switches: readonly MenuSwitch[];
  readonly onChange: (id: string, isOn: boolean) => void;
}) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>
        <button type="button">{props.label} ▾</button>
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" sideOffset={4} align="start">
          {props.switches.map(({ id, name, isOn }) => (
            <DropdownMenu.CheckboxItem
              key={id}
              checked={isOn}
              onCheckedChange={(checked) => props.onChange(id, checked)}
              onSelect={(event) => event.preventDefault()}
            >
              <span aria-hidden="true">{isOn ? "☑" : "☐"}</span> {name}
            </DropdownMenu.CheckboxItem>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
