/** A Redis server of our own: on a Unix socket, in a folder of its own, keeping nothing. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Undefined where it is not installed; with CI set, that is a failure. */
export function redisProgram(): string | undefined {
  const names = ['/usr/bin/redis-server', 'redis-server']
  const found = names.find((path) => spawnSync(path, ['--version']).status === 0)
  if (found === undefined && process.env.CI) throw new Error('redis-server is not installed, and CI is set')
  return found
}

export interface RunningRedis {
  /** Of its Unix socket. */
  readonly path: string
  stop(): Promise<void>
}

export async function startRedis(): Promise<RunningRedis> {
  const program = redisProgram()
  if (program === undefined) throw new Error('redis-server is not installed')
  const folder = mkdtempSync(join(tmpdir(), 'mtls-identity-redis-'))
  const path = join(folder, 'redis.sock')
  const settings = { port: '0', unixsocket: path, save: '', appendonly: 'no', dir: folder, daemonize: 'no' }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const child = spawn(program, args, { stdio: 'ignore' })
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
      await exit
      clearTimeout(timer)
    }
    rmSync(folder, { recursive: true, force: true })
  }
  for (let attempt = 0; attempt < 200 && child.exitCode === null; attempt++) {
    const socket = connect(path)
    try {
      await once(socket, 'connect')
      return { path, stop }
    } catch {
      await sleep(50)
    } finally {
      socket.destroy()
    }
  }
  await stop()
  throw new Error('redis-server does not listen')
}
