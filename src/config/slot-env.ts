/** What in the environment of a worker depends on its slot. */

/** Stands for the slot in values of the setting `env`, and of the file of `envFile`. */
const placeholder = '{slot}';

/** Always there, unless the configuration sets them itself; the first is the name that PM2 has for it. */
const always = { NODE_APP_INSTANCE: placeholder, PREFORK_SLOT: placeholder };

/**
 * The variables that depend on the slot, with {@link placeholder} where it is to be.
 *
 * @param given what the configuration sets: `env` and `envFile`
 */
export function slotVariables(given: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const own = Object.entries(given).filter(([, value]) => value.includes(placeholder));
  const free = Object.entries(always).filter(([name]) => !Object.hasOwn(given, name));
  return Object.fromEntries([...free, ...own]);
}

/** What a spare has instead, until it gets its slot; so what it starts meanwhile knows that it is part of a worker. */
export const spareVariable = 'PREFORK_SPARE';

/** The values of these variables in a slot. */
export function inSlot(variables: Readonly<Record<string, string>>, slot: number): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [name, value.replaceAll(placeholder, String(slot))]),
  );
}
