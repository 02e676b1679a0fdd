/** A Prometheus of our own: on a free port of 127.0.0.1, with its data in a folder that goes with it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './free-port.js'

/** One element of an instant vector. */
export interface Element {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface AlertState {
  readonly name: string
  readonly query: string
  readonly health: string
  readonly lastError?: string
  readonly state: string
  readonly alerts: readonly { readonly annotations: Readonly<Record<string, string>> }[]
}

export interface RunningPrometheus {
  /** An instant query. Rejects with what Prometheus has against it. */
  query(expression: string): Promise<readonly Element[]>
  /** The values a label has in the series that a selector selects. */
  labelValues(label: string, selector: string): Promise<readonly string[]>
  alerts(): Promise<readonly AlertState[]>
  stop(): Promise<void>
}

export async function startPrometheus(configuration: string): Promise<RunningPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'mtls-identity-prometheus-'))
  const port = await freePort()
  const args = [
    `--config.file=${configuration}`,
    `--storage.tsdb.path=${folder}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--log.level=error',
  ]
  const child = spawn('prometheus', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let says = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    says += text
  })
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await exit
      clearTimeout(timer)
    }
    rmSync(folder, { recursive: true, force: true })
  }
  const url = `http://127.0.0.1:${port}`
  const ask = async (path: string, parameters: Record<string, string> = {}) => {
    const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters)}`)
    const { status, data, error } = JSON.parse(await response.text())
    if (status !== 'success') throw new Error(error)
    return data
  }
  for (let attempt = 0; attempt < 300 && child.exitCode === null; attempt++) {
    const { ok } = await fetch(`${url}/-/ready`).catch(() => ({ ok: false }))
    if (ok) {
      return {
        query: async (query) => {
          const { result } = await ask('query', { query })
          return result.map(({ metric, value }: { metric: Record<string, string>; value: [number, string] }) => ({
            labels: metric,
            value: Number(value[1]),
          }))
        },
        labelValues: (label, selector) => ask(`label/${label}/values`, { 'match[]': selector }),
        alerts: async () => {
          const { groups } = await ask('rules', { type: 'alert' })
          return groups.flatMap(({ rules }: { rules: AlertState[] }) => rules)
        },
        stop,
      }
    }
    await sleep(100)
  }
  await stop()
  throw new Error(`prometheus does not answer: ${says}`)
}
