export interface Port {
  device: string; path: string; by_id: string; by_path: string; driver: string; product: string; vendor_id: string; product_id: string; serial: string;
  group: string; allowed: boolean; users: string[]; warnings: string[];
}
export interface Found {
  endpoint: string; unit: number; line: string; answer: string; latency_s: number; identification: Record<string, string>; profiles: string[]; sure: boolean; note: string;
}
export interface Scan { running: boolean; ended: string; done: number; total: number; left_s: number; found: Found[]; hints: string[]; yaml: string }
type Orders<T> = Record<string, T> | null;
export interface Register { address: number; word: number | null; int16: number | null; uint32: Orders<number>; int32: Orders<number>; float32: Orders<number> }
export interface Registers { table: string; latency_s: number; registers: Register[]; refused: Record<string, number> }
export interface Guess { table: string; address: number; type: string; order: string; scale: number; value: number; matched: number; share: number; twins: string[] }
export interface Guesses { unique: boolean; advice: string; guesses: Guess[]; samples: unknown[]; yaml: string }
export type Parity = "N" | "E" | "O";

/** Which instrument is asked: through a connection that runs, or at an endpoint. */
export interface Place { connection: string; endpoint: string; unit: number; baud: number; parity: Parity; stop_bits: 1 | 2 }
export const BAUDS: readonly number[] = [1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200];
export const ORDERS: readonly string[] = ["ABCD", "CDAB", "BADC", "DCBA"];

/** What goes into an order: only what its place needs. */
export function placeOf(place: Place): Record<string, unknown> {
  if (place.connection) return { connection: place.connection, unit: place.unit };
  const { connection: _, ...rest } = place;
  return rest;
}
