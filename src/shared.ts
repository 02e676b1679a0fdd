/**
 * What the ESM and the CommonJS copy of this package must share within one process, although tools that do not know the `module-sync`
 * condition may load both: maps from objects of Node (requests, TLS sessions) to what was found out about them. No map admits anybody by
 * being empty.
 */
const key = Symbol.for('mtls-identity/1')

type Maps = Map<string, WeakMap<object, unknown>>

export function sharedMap<V>(name: string): WeakMap<object, V> {
  const holder = globalThis as { [key]?: Maps }
  if (holder[key] === undefined) Object.defineProperty(holder, key, { value: new Map() })
  const maps = holder[key] as Maps
  const map = maps.get(name) ?? new WeakMap<object, unknown>()
  maps.set(name, map)
  return map as WeakMap<object, V>
}
