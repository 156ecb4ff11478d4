/** A button that may do nothing for a while, such as when what it has begun is not finished. */
import type { ComponentProps } from "react";

/**
 * A button that ignores clicks while `isInert`, and those by which Enter in a field submits the form. It keeps the
 * focus, which a disabled button would lose.
 */
export function Button(props: Omit<ComponentProps<"button">, "disabled"> & { readonly isInert: boolean }) {
  const { isInert, onClick, type = "button", ...others } = props;
  return (
    <button
      {...others}
      type={type}
      aria-disabled={isInert || undefined}
      onClick={(event) => (isInert ? event.preventDefault() : onClick?.(event))}
    />
  );
}
