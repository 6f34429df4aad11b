// Makes its collector work, and says by its own account (the flight recorder's) how long each pause was.

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;

public class Pauses {
    private static final int ROUNDS = 60;

    public static void main(String[] arguments) throws Exception {
        Path file = Files.createTempFile("pauses", ".jfr");
        try (Recording recording = new Recording()) {
            recording.enable("jdk.GCPhasePause").withoutThreshold();
            recording.start();
            work();
            recording.stop();
            recording.dump(file);
        }
        List<RecordedEvent> pauses = RecordingFile.readAllEvents(file);
        Files.delete(file);
        pauses.sort(Comparator.comparing(RecordedEvent::getStartTime));
        for (RecordedEvent pause : pauses) {
            System.out.println("own " + pause.getLong("gcId") + " " + pause.getDuration().toNanos());
        }
    }

    /** Small objects, of which many stay alive from round to round: a collector has to follow or to move them. */
    private static void work() {
        List<Object[]> kept = new ArrayList<>();
        for (int round = 0; round < ROUNDS; round++) {
            Object[] chain = new Object[] {null};
            for (int link = 0; link < 6_000; link++) {
                chain = new Object[] {chain, new byte[16]};
            }
            kept.add(chain);
            if (kept.size() > 30) {
                kept.subList(0, 10).clear();
            }
            System.gc();
        }
    }
}
