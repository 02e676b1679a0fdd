import { ClientCertConfigError } from '../errors.js'

/** What is needed of a server of `node:tls`, `node:https`, `node:http2` or `node:http`. */
export interface EmittingServer {
  // biome-ignore lint/suspicious/noExplicitAny: the events of four servers have nothing in common
  emit(event: any, ...args: any[]): boolean
}

/**
 * Refuses what people have at hand in place of the server: an application of Express (a function) or Koa. Both emit events, and never those of
 * a server, so that a guard before them guards nothing.
 */
export function refuseApplication(where: string, given: unknown): void {
  const isKoa = typeof (given as { callback?: unknown } | null | undefined)?.callback === 'function'
  if (typeof given !== 'function' && !isKoa) return
  throw new ClientCertConfigError(
    `${where}: the first argument is the server, not the application — const server = https.createServer(…, app)`,
  )
}

/** Sees an event before any listener does. `pass` lets the listeners have it, now or later. */
export type EventFilter = (event: string | symbol, args: readonly unknown[], pass: () => boolean) => boolean

/**
 * Puts a filter before a server's events. A listener would not do: one for `clientError` takes Node's answer away, and one for
 * `secureConnection` cannot keep others from hearing. Returns what takes it away again.
 */
export function filterEvents(server: EmittingServer, filter: EventFilter): () => void {
  const had = Object.hasOwn(server, 'emit')
  const emit = server.emit
  let isOn = true
  const filtered = (event: string | symbol, ...args: unknown[]): boolean =>
    isOn ? filter(event, args, () => emit.call(server, event, ...args)) : emit.call(server, event, ...args)
  server.emit = filtered
  return () => {
    isOn = false
    // Somebody else may have put theirs before ours since.
    if (server.emit !== filtered) return
    if (had) server.emit = emit
    else delete (server as { emit?: unknown }).emit
  }
}
